//! Watching over the table of flows: that it fills up is told before connections are refused.

use tracing::warn;

use super::Enforcer;
use crate::datapath::flows;

/// Of a hundred flows that the table is sized for, so many are pressure: below it both sets of a flow are
/// full less than once in a million times.
const PRESSURE: u64 = 80;

impl Enforcer {
    /// Looks at how full the table is.
    pub(super) fn watch_flows(&mut self) {
        let Some(current) = &self.current else {
            return;
        };
        let load = flows::load(self.datapath.pins(), &current.image);
        let problem = match load {
            Ok([open, sized]) => pressure(open, sized),
            Err(error) => Some(format!("cannot look at the table of flows: {error}")),
        };
        if let Some(problem) = &problem
            && self.problems.pressure.is_none()
        {
            warn!("{problem}");
        }
        self.problems.pressure = problem;
    }
}

/// What is wrong with `open` flows in a table that is `sized` for so many.
fn pressure(open: u32, sized: u32) -> Option<String> {
    let percent = u64::from(open) * 100 / u64::from(sized.max(1));
    (percent >= PRESSURE).then(|| {
        format!(
            "the table of flows is sized for {sized}, and about {open} are open ({percent} %): what a \
             rule permits may soon be refused as flow-table-full. `manoward flows --by endpoint` shows \
             whose they are; raise `flows` in agent.yaml, run `manoward detach`, and start the agent again"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_told_before_the_table_is_full() {
        assert_eq!(pressure(800, 1024), None);
        let told = pressure(850, 1024).expect("83 %");
        assert!(told.contains("850 are open (83 %)"), "{told}");
    }
}
