//! The results of the targets.

use console::style;

/// The result of one target.
#[derive(Debug, Default)]
pub struct Row {
    /// Name of the target.
    pub target: &'static str,
    /// The seed of the run.
    pub seed: u32,
    /// Inputs, or frames.
    pub executions: u64,
    /// Inputs, or frames, in a second.
    pub per_second: u64,
    /// Edges of the code that were executed; in a comparison, reasons that occurred.
    pub coverage: u64,
    /// In a comparison: reasons that did not occur.
    pub unreached: Vec<String>,
    /// Inputs that reached new code.
    pub added: u64,
    /// What was found, if anything was.
    pub failure: Option<Failure>,
}

/// Something that was found.
#[derive(Debug)]
pub struct Failure {
    /// The input, or the frame.
    pub what: String,
    /// How to see it again.
    pub reproduce: String,
}

/// Prints a table, and below it what was found.
pub fn table(rows: &[Row]) {
    println!(
        "{:14} {:>12} {:>10} {:>9} {:>6}  result",
        "target", "executions", "per second", "coverage", "new"
    );
    for row in rows {
        let result = match row.failure {
            Some(_) => style("FAILED").red().bold(),
            None => style("ok").green(),
        };
        println!(
            "{:14} {:>12} {:>10} {:>9} {:>6}  {result}",
            row.target, row.executions, row.per_second, row.coverage, row.added
        );
    }
    for row in rows {
        if !row.unreached.is_empty() {
            println!(
                "{} (seed {}): not reached: {}",
                row.target,
                row.seed,
                row.unreached.join(", ")
            );
        }
        if let Some(failure) = &row.failure {
            println!("{}: {}", row.target, failure.what);
            println!("    {}", failure.reproduce);
        }
    }
}

/// The results as JSON.
pub fn json(rows: &[Row]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            serde_json::json!({
                "target": row.target,
                "seed": row.seed,
                "executions": row.executions,
                "executions_per_second": row.per_second,
                "coverage": row.coverage,
                "unreached": row.unreached,
                "new": row.added,
                "failure": row.failure.as_ref().map(|failure| serde_json::json!({
                    "what": failure.what,
                    "reproduce": failure.reproduce,
                })),
            })
        })
        .collect();
    serde_json::Value::Array(rows).to_string()
}
