//! Printing: standard output and tables.

use std::fmt;
use std::io::Write;

use crate::failure::Failure;

/// Writes `text` to standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::from_output)
}

/// Columns of text, as wide as their widest cell; numbers to the right.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Table {
        Table { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// Adds a row; cells are in the order of the headings.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn is_number(cell: &str) -> bool {
        !cell.is_empty() && cell.chars().all(|c| c.is_ascii_digit() || ".- ".contains(c))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows[0].len();
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let body = &self.rows[1..];
        let right: Vec<bool> = (0..columns)
            .map(|column| {
                !body.is_empty() && body.iter().filter_map(|row| row.get(column)).all(|cell| Table::is_number(cell))
            })
            .collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let padding = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
                let cell = if right[column] { padding + cell } else { cell.clone() + &padding };
                line += &cell;
                line += "  ";
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let mut table = Table::new(&["NAME", "WORDS"]);
        table.row(["a".to_owned(), "7".to_owned()]);
        table.row(["long name".to_owned(), "1234".to_owned()]);
        assert_eq!(table.to_string(), "NAME       WORDS\na              7\nlong name   1234\n");
    }
}
