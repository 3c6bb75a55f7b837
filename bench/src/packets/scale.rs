//! How many addresses there are, and how they are spread over endpoints.

/// Most addresses of one kind: the unknown sources fill a /12.
pub const MOST: u32 = 1 << 20;

/// Named endpoints that share the addresses.
const ENDPOINTS: u32 = 100;

/// Addresses of each endpoint, as ranges of their numbers; all but the last have the same number.
pub fn endpoints(count: u32) -> impl Iterator<Item = std::ops::Range<u32>> {
    let each = count.div_ceil(ENDPOINTS);
    (0..count)
        .step_by(each as usize)
        .map(move |first| first..(first + each).min(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_one_endpoint() {
        for count in [1, 10, 99, 100, 101, 1000, 1_000_000] {
            let ranges: Vec<_> = endpoints(count).collect();
            assert!(ranges.len() <= ENDPOINTS as usize);
            assert_eq!(ranges.first().map(|range| range.start), Some(0));
            assert_eq!(ranges.last().map(|range| range.end), Some(count));
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }
}
