//! "Did you mean": the known name that was probably meant.

/// The candidate nearest to `word`, if it is near enough for a typing error.
pub(super) fn closest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = folded(word);
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&word, &folded(candidate)),
                candidate,
            )
        })
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// `word` in lower case, with `-` as the only separator.
fn folded(word: &str) -> String {
    word.to_lowercase().replace(['_', '.', ' '], "-")
}

/// A remedy: the name that was probably meant, or else `otherwise`.
pub(super) fn remedy<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    match closest(word, candidates) {
        Some(meant) => format!("Did you mean `{meant}`?"),
        None => otherwise.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let fields = ["role", "addresses", "reference_points", "vlan"];
        assert_eq!(closest("adresses", fields), Some("addresses"));
        assert_eq!(
            closest("Reference-Points", fields),
            Some("reference_points")
        );
        assert_eq!(closest("referencePoints", fields), Some("reference_points"));
        assert_eq!(closest("rloe", fields), Some("role"));
        assert_eq!(closest("description", fields), None);
    }
}
