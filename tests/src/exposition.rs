//! What a process shows to Prometheus: the text format, as far as Envoy writes it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The metric.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The number.
    pub value: f64,
}

impl Series {
    /// Whether it has these labels, among others.
    pub fn has(&self, labels: &[(&str, &str)]) -> bool {
        let has =
            |(label, value): &(&str, &str)| self.labels.get(*label).is_some_and(|v| v == value);
        labels.iter().all(has)
    }
}

/// Reads a whole page. No label here has a quote or a comma in its value.
pub fn parse(page: &str) -> Result<Vec<Series>> {
    let lines = page.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| series(line).with_context(|| format!("{line:?}")))
        .collect()
}

fn series(line: &str) -> Result<Series> {
    let (series, value) = line.rsplit_once(' ').context("no value")?;
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}').context("no end")?),
    };
    let pairs = labels.split(',').filter(|pair| !pair.is_empty());
    let label = |pair: &str| {
        let (label, value) = pair.split_once("=\"")?;
        Some((label.to_owned(), value.strip_suffix('"')?.to_owned()))
    };
    Ok(Series {
        name: name.to_owned(),
        labels: pairs.map(label).collect::<Option<_>>().context("a label")?,
        value: value.parse()?,
    })
}

/// The sum of all series of this name that have these labels; 0 when there is none.
pub fn sum(series: &[Series], name: &str, labels: &[(&str, &str)]) -> f64 {
    let wanted = series
        .iter()
        .filter(|one| one.name == name && one.has(labels));
    wanted.map(|one| one.value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_line_by_line() {
        let page = "# TYPE a counter\na{tenant=\"corp.eu\",rule=\"x\"} 3\na{tenant=\"other\"} 4\nb{} 1\n\nc 0.5\n";
        let all = parse(page).unwrap();
        assert_eq!(all.len(), 4);
        assert_eq!(sum(&all, "a", &[]), 7.0);
        assert_eq!(sum(&all, "a", &[("tenant", "corp.eu"), ("rule", "x")]), 3.0);
        assert_eq!(sum(&all, "a", &[("tenant", "corp.eu"), ("rule", "y")]), 0.0);
        assert_eq!(sum(&all, "c", &[]), 0.5);
        assert!(parse("a{tenant=corp} 1").is_err());
        assert!(parse("a{tenant=\"corp\" 1").is_err());
    }
}
