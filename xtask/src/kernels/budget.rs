//! What the programs cost each kernel's verifier, for the terminal and for the documentation.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use console::{Style, style};
use manoward_guest_report::budget::{Cost, INSTRUCTIONS, STACK};

use super::report::Column;

/// The marks before and behind the tables in the documentation.
const BEGIN: &str = "<!-- written by cargo xtask kernels -->\n";
const END: &str = "<!-- end of what is written -->\n";

fn costs(column: &Column) -> impl Iterator<Item = &Cost> {
    column.rows.iter().filter_map(|row| row.cost.as_ref())
}

fn cost<'a>(column: &'a Column, program: &str) -> Option<&'a Cost> {
    costs(column).find(|cost| cost.program == program)
}

/// Values in the order in which they were first seen, each once.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

const fn colour(fits: bool) -> Style {
    if fits {
        Style::new().green()
    } else {
        Style::new().red().bold()
    }
}

/// The tables in the terminal, one for each kernel; empty if no program was loaded. `own` are the
/// instructions of the program itself, `all` include the functions that it calls.
pub fn terminal(columns: &[Column]) -> String {
    let mut text = String::new();
    let columns = columns.iter().filter(|it| costs(it).next().is_some());
    for column in columns {
        let _ = writeln!(text, "\n{}", style(&column.release).bold());
        let _ = writeln!(
            text,
            "{:27} {:>6} {:>6} {:>9} {:>6} {:>6} {:>6}  deepest calls",
            "program", "own", "all", "followed", "budget", "stack", "budget"
        );
        for cost in costs(column) {
            let followed = colour(cost.followed <= INSTRUCTIONS);
            let stack = colour(cost.deepest.stack <= STACK);
            let _ = writeln!(
                text,
                "{:27} {:>6} {:>6} {:>9} {} {:>6} {}  {}",
                cost.program,
                cost.functions.first().map_or(0, |it| it.instructions),
                cost.instructions(),
                cost.followed,
                followed.apply_to(format!("{:>4} %", cost.percent())),
                cost.deepest.stack,
                stack.apply_to(format!("{STACK:>6}")),
                calls(cost),
            );
        }
    }
    text
}

/// The deepest chain of calls, each function with its own stack.
fn calls(cost: &Cost) -> String {
    let stack = |name: &String| {
        let found = cost.functions.iter().find(|it| it.name == *name);
        format!("{name} {}", found.map_or(0, |it| it.stack))
    };
    let chain: Vec<String> = cost.deepest.functions.iter().map(stack).collect();
    chain.join(" > ")
}

/// `text` with the tables about `columns` between the two marks.
///
/// # Errors
///
/// If it lacks a mark.
pub fn written(text: &str, columns: &[Column]) -> Result<String> {
    let marks = || {
        let (before, rest) = text.split_once(BEGIN)?;
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    };
    let (before, after) = marks().context("the marks for the budget's tables are missing")?;
    Ok(format!(
        "{before}{BEGIN}\n{}\n{}\n{END}{after}",
        programs(columns),
        functions(columns)
    ))
}

/// The table of the programs: instructions that were followed, and the deepest stack.
fn programs(columns: &[Column]) -> String {
    let names = columns.iter().flat_map(costs).map(|it| it.program.as_str());
    let mut text = head("program | length", columns);
    for name in distinct(names) {
        let found = || columns.iter().map(|column| cost(column, name));
        let length = found().flatten().map(Cost::instructions);
        let cell = |cost: &Cost| format!("{} / {}", thousands(cost.followed), cost.deepest.stack);
        row(&mut text, name, length, found().map(|it| it.map(cell)));
    }
    text
}

/// The table of the functions: their own stack.
fn functions(columns: &[Column]) -> String {
    let every = || columns.iter().flat_map(costs);
    let names = every().flat_map(|cost| &cost.functions);
    let mut text = head("function | length", columns);
    for name in distinct(names.map(|it| it.name.as_str())) {
        let of = |cost: &Cost| {
            let found = cost.functions.iter().find(|it| it.name == name);
            found.map(|it| (it.instructions, it.stack))
        };
        // Several programs call the same function. Its stack is the same in all of them, unless the
        // verifier removes dead code in one.
        let stack = |column: &Column| {
            let stack = costs(column).filter_map(of).map(|(_, stack)| stack).max();
            stack.map(|stack| stack.to_string())
        };
        let length = every().filter_map(of).map(|(length, _)| length);
        row(&mut text, name, length, columns.iter().map(stack));
    }
    text
}

fn head(first: &str, columns: &[Column]) -> String {
    let mut text = format!("| {first} |");
    for column in columns {
        let _ = write!(text, " {} |", column.release);
    }
    let rule = " --- |".repeat(columns.len());
    text + "\n| --- | --- |" + &rule + "\n"
}

fn row(
    text: &mut String,
    name: &str,
    mut length: impl Iterator<Item = u32>,
    cells: impl Iterator<Item = Option<String>>,
) {
    let _ = write!(
        text,
        "| `{name}` | {} |",
        thousands(length.next().unwrap_or_default())
    );
    for cell in cells {
        let _ = write!(text, " {} |", cell.as_deref().unwrap_or("-"));
    }
    text.push('\n');
}

/// A number with commas between its thousands.
fn thousands(number: u32) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1000), number % 1000),
    }
}

#[cfg(test)]
mod tests {
    use manoward_guest_report::budget::{Chain, Function};
    use manoward_guest_report::{Finding, Row};

    use super::*;

    fn function(name: &str, instructions: u32, stack: u32) -> Function {
        let name = name.to_owned();
        Function {
            name,
            instructions,
            stack,
        }
    }

    fn column(release: &str, followed: u32) -> Column {
        let cost = Cost {
            program: "xdp".to_owned(),
            followed,
            deepest: Chain {
                stack: 112,
                functions: vec!["xdp".to_owned(), "judge".to_owned()],
            },
            functions: vec![function("xdp", 1200, 64), function("judge", 34, 40)],
        };
        let row = Row {
            capability: "XDP program is accepted".to_owned(),
            finding: Finding::Yes,
            detail: String::new(),
            seconds: 1.0,
            cost: Some(cost),
        };
        Column {
            version: release.to_owned(),
            release: release.to_owned(),
            rows: vec![row],
            cut: None,
            seconds: 1.0,
        }
    }

    #[test]
    fn a_line_shows_the_share_of_the_budget() {
        let text = terminal(&[column("6.1", 350_000)]);
        let text = console::strip_ansi_codes(&text);
        let line = text.lines().last().unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let expected = "xdp 1200 1234 350000 50 % 112 480 xdp 64 > judge 40";
        assert_eq!(words.join(" "), expected);
    }

    #[test]
    fn kernels_without_programs_have_no_table() {
        let mut column = column("6.1", 1);
        column.rows.clear();
        assert_eq!(terminal(&[column]), "");
    }

    #[test]
    fn tables_replace_those_before() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        let mut without = column("6.12", 1);
        without.rows.clear();
        let columns = [column("6.1", 350_000), without];
        let text = written(&page, &columns).unwrap();
        assert!(
            text.starts_with(&format!("a\n{BEGIN}\n| program ")),
            "{text}"
        );
        assert!(text.ends_with(&format!("\n\n{END}b\n")), "{text}");
        assert!(
            text.contains("| `xdp` | 1,234 | 350,000 / 112 | - |\n"),
            "{text}"
        );
        assert!(text.contains("| `judge` | 34 | 40 | - |\n"), "{text}");
        assert!(!text.contains("old"), "{text}");
        assert_eq!(written(&text, &columns).unwrap(), text);
        assert!(written("a", &columns).is_err());
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(518_033), "518,033");
        assert_eq!(thousands(1_000_001), "1,000,001");
    }
}
