//! A measure: ours and a peer's, taken in turn, and what comes of them.

use serde::Serialize;

/// What is measured, of what, and how much better than the peer it is to be.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// Stable: `luks.argon2id`.
    pub id: &'static str,
    /// `s`, `MiB`.
    pub unit: &'static str,
    /// The program or set-up compared with.
    pub peer: &'static str,
    /// The ratio ours / peer that is to be reached; none: it is only shown.
    pub goal: Option<f64>,
    /// Of a rate.
    pub higher_is_better: bool,
}

/// A line of `target/bench.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    id: &'static str,
    unit: &'static str,
    ours: f64,
    peer: f64,
    peer_name: &'static str,
    ratio: f64,
    goal: Option<f64>,
    higher_is_better: bool,
}

impl Measure {
    /// The medians of what was measured; none without measurements on both sides.
    pub fn row(self, ours: &[f64], peer: &[f64]) -> Option<Row> {
        let (ours, peer) = (median(ours)?, median(peer)?);
        Some(Row {
            id: self.id,
            unit: self.unit,
            ours,
            peer,
            peer_name: self.peer,
            ratio: ours / peer,
            goal: self.goal,
            higher_is_better: self.higher_is_better,
        })
    }
}

impl Row {
    /// Whether the goal is reached.
    pub fn reached(&self) -> bool {
        self.goal
            .is_none_or(|goal| if self.higher_is_better { self.ratio >= goal } else { self.ratio <= goal })
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(upper, *sorted.get(middle - 1)?) })
}

/// All rows for people.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<26} {:>10} {:>10} {:<5} {:>6} {:>6}  {}\n",
        "measure", "ours", "peer", "unit", "ratio", "goal", "peer"
    );
    for row in rows {
        text.push_str(&format!(
            "{:<26} {:>10.3} {:>10.3} {:<5} {:>6.2} {:>6}  {}{}\n",
            row.id,
            row.ours,
            row.peer,
            row.unit,
            row.ratio,
            row.goal.map_or_else(|| "-".to_owned(), |goal| format!("{goal:.2}")),
            row.peer_name,
            if row.reached() { "" } else { "  (goal missed)" }
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEASURE: Measure =
        Measure { id: "a.b", unit: "s", peer: "stock", goal: Some(0.5), higher_is_better: false };

    #[test]
    fn a_row_has_the_medians_and_their_ratio() {
        let row = MEASURE.row(&[9.0, 1.0, 2.0], &[8.0, 2.0]).unwrap();
        assert_eq!((row.ours, row.peer, row.ratio), (2.0, 5.0, 0.4));
        assert!(row.reached());
        assert!(!MEASURE.row(&[3.0], &[5.0]).unwrap().reached());
        assert!(MEASURE.row(&[], &[1.0]).is_none());
        let rate = Measure { higher_is_better: true, goal: Some(8.0), ..MEASURE };
        assert!(rate.row(&[80.0], &[10.0]).unwrap().reached());
        assert!(!rate.row(&[79.0], &[10.0]).unwrap().reached());
        assert!(table(&[row]).lines().nth(1).unwrap().starts_with("a.b "));
    }
}
