//! Figures beside what they are held against.

/// Rows of one table.
#[derive(Debug, Default)]
pub struct Budgets {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    figure: String,
    measured: f64,
    at_most: Option<f64>,
    unit: &'static str,
}

impl Row {
    fn met(&self) -> bool {
        self.at_most.is_none_or(|at_most| self.measured <= at_most)
    }
}

impl Budgets {
    /// A figure that must not exceed its budget.
    pub fn hold(&mut self, figure: &str, measured: f64, at_most: f64, unit: &'static str) {
        self.row(figure, measured, Some(at_most), unit);
    }

    /// A figure without a budget.
    pub fn tell(&mut self, figure: &str, measured: f64, unit: &'static str) {
        self.row(figure, measured, None, unit);
    }

    fn row(&mut self, figure: &str, measured: f64, at_most: Option<f64>, unit: &'static str) {
        self.rows.push(Row {
            figure: figure.to_owned(),
            measured,
            at_most,
            unit,
        });
    }

    /// The rows of another table too.
    pub fn extend(&mut self, others: Budgets) {
        self.rows.extend(others.rows);
    }

    /// Prints the table, and what falls short.
    pub fn print(&self) {
        println!(
            "\n| {:<68} |   measured |     budget | unit        |         |",
            "figure"
        );
        println!(
            "|:{:-<68}-|-----------:|-----------:|:------------|:--------|",
            ""
        );
        for row in &self.rows {
            let (budget, met) = match row.at_most {
                None => (String::new(), ""),
                Some(at_most) => (number(at_most), if row.met() { "met" } else { "NOT MET" }),
            };
            println!(
                "| {:<68} | {:>10} | {budget:>10} | {:<11} | {met:<7} |",
                row.figure,
                number(row.measured),
                row.unit
            );
        }
        println!();
        let short: Vec<&Row> = self.rows.iter().filter(|row| !row.met()).collect();
        for row in &short {
            let at_most = row.at_most.unwrap_or_default();
            println!(
                "Falls short: {}: {} {} where {} is the budget.",
                row.figure,
                number(row.measured),
                row.unit,
                number(at_most)
            );
        }
        let held = self.rows.iter().filter(|row| row.at_most.is_some()).count();
        println!("{} of {held} budgets are met.", held - short.len());
        println!();
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.2}"),
        ..1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
