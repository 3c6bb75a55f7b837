//! The layout of all tables: no lines, headings in capitals, numbers aligned right, long columns
//! wrapped to the width of the terminal.

use comfy_table::{
    Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, presets::NOTHING,
};

/// Space between columns.
const GAP: u16 = 2;

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    /// Names and other short texts that must stay in one piece.
    Short(&'static str),
    /// Texts that are wrapped where there is no room.
    Long(&'static str),
    /// Numbers.
    Number(&'static str),
}

/// A table under construction.
pub struct Table {
    columns: Vec<Column>,
    table: comfy_table::Table,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: impl Into<Vec<Column>>) -> Self {
        let columns = columns.into();
        let mut table = comfy_table::Table::new();
        // Whether colours are wanted is decided where the table is written.
        table.load_style(NOTHING).enforce_styling();
        table.style_text_only();
        table.set_header(columns.iter().map(|column| {
            let (Column::Short(name) | Column::Long(name) | Column::Number(name)) = column;
            Cell::new(name).add_attribute(Attribute::Dim)
        }));
        Self { columns, table }
    }

    /// Adds a row, a cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.table.add_row(cells.into_iter().collect::<Vec<_>>());
    }

    /// The table in lines of at most `width` columns, unless the short columns alone are wider.
    pub fn render(mut self, width: Option<u16>) -> String {
        if let Some(width) = width {
            self.table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
        }
        let last = self.columns.len() - 1;
        for (index, kind) in self.columns.iter().enumerate() {
            let Some(column) = self.table.column_mut(index) else {
                continue;
            };
            column.set_padding((0, if index == last { 0 } else { GAP }));
            match kind {
                Column::Long(_) => {}
                Column::Short(_) => {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                }
                Column::Number(_) => {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        let mut text = self.table.trim_fmt();
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;
    use crate::cli::tone::Tone;

    fn table() -> Table {
        let mut table = Table::new([
            Column::Short("NAME"),
            Column::Number("PACKETS"),
            Column::Long("WHAT IT IS"),
        ]);
        for (name, packets, what) in [
            ("ssh", "1,234,567", "Administration of hosts"),
            ("a", "8", "b"),
        ] {
            table.row([
                Tone::Good.cell(name),
                Tone::Plain.cell(packets),
                Tone::Quiet.cell(what),
            ]);
        }
        table
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let text = table().render(None);
        assert_eq!(
            strip_str(&text).to_string(),
            "NAME    PACKETS  WHAT IT IS\n\
             ssh   1,234,567  Administration of hosts\n\
             a             8  b\n"
        );
    }

    #[test]
    fn long_texts_are_wrapped_and_numbers_are_not() {
        let text = strip_str(&table().render(Some(32))).to_string();
        assert!(
            text.lines().all(|line| line.chars().count() <= 32),
            "{text}"
        );
        assert!(text.contains("1,234,567  Administration"), "{text}");
    }
}
