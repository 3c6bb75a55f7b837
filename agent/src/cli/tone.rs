//! The meaning of colours, in sentences and in tables.

use std::fmt;

use anstyle::{AnsiColor, Style};
use comfy_table::{Attribute, Cell, Color};
use manoward_api::Fate;

/// What the style of a text means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tone {
    /// No style.
    Plain,
    /// All is well.
    Good,
    /// Something deserves a look.
    Warning,
    /// Something is wrong.
    Bad,
    /// Of less interest.
    Quiet,
    /// A heading.
    Strong,
}

impl Tone {
    /// The tone of packets with this fate.
    pub const fn of(fate: Fate) -> Self {
        match fate {
            Fate::Passed => Self::Good,
            Fate::Dropped => Self::Bad,
            Fate::Audited => Self::Warning,
        }
    }

    /// `text` in this tone.
    pub fn paint<T: fmt::Display>(self, text: T) -> Painted<T> {
        Painted { tone: self, text }
    }

    /// A cell of a table in this tone.
    pub fn cell(self, text: impl Into<String>) -> Cell {
        let cell = Cell::new(text.into());
        match self {
            Self::Plain => cell,
            Self::Good => cell.fg(Color::DarkGreen),
            Self::Warning => cell.fg(Color::DarkYellow),
            Self::Bad => cell.fg(Color::DarkRed),
            Self::Quiet => cell.add_attribute(Attribute::Dim),
            Self::Strong => cell.add_attribute(Attribute::Bold),
        }
    }

    const fn style(self) -> Style {
        let style = Style::new();
        match self {
            Self::Plain => style,
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Quiet => style.dimmed(),
            Self::Strong => style.bold(),
        }
    }
}

/// A text with its tone. It is written through [`anstream`], which removes unwanted colours.
#[derive(Clone, Copy, Debug)]
pub struct Painted<T> {
    tone: Tone,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = self.tone.style();
        write!(f, "{style}")?;
        self.text.fmt(f)?;
        write!(f, "{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_belongs_to_the_text() {
        assert_eq!(
            format!("{:>4}", Tone::Bad.paint("no")),
            "\u{1b}[31m  no\u{1b}[0m"
        );
        assert_eq!(format!("{:<4}|", Tone::Plain.paint("no")), "no  |");
    }
}
