//! The agent's answer to a policy that was sent to it.

use std::io;

use manoward::control::client::ClientError;
use manoward_api::Report;

use super::{
    file::Given,
    report::{self, Look},
};
use crate::cli::{
    Context,
    output::{self, Format},
    progress,
    tone::Tone,
};

/// Waits for the answer to `asking`, which sends what is `given`; `doing` is shown if it takes long.
///
/// `None` if the policy has mistakes; they were written to standard error. With JSON output the
/// agent's failure is returned as an error instead.
pub async fn of<T>(
    asking: impl Future<Output = Result<T, ClientError>>,
    doing: &'static str,
    given: &Given,
    context: &Context,
) -> anyhow::Result<Option<T>> {
    if let Some(report) = &given.broken {
        return refused(given, report, context).map(|()| None);
    }
    let failure = match progress::during(doing, asking).await {
        Ok(answer) => return Ok(Some(answer)),
        Err(ClientError::Failed(failure)) if context.format == Format::Table => failure,
        Err(error) => return Err(error.into()),
    };
    let Some(report) = &failure.report else {
        return Err(ClientError::Failed(failure).into());
    };
    let report = given.located(report.clone());
    report::mistakes(&mut output::stderr(), given, &report, Look::of_stderr())?;
    Ok(None)
}

/// Shows the mistakes of a policy that is not sent.
fn refused(given: &Given, report: &Report, context: &Context) -> anyhow::Result<()> {
    match context.format {
        Format::Json => output::json(&mut output::stdout(), report)?,
        Format::Table => {
            report::mistakes(&mut output::stderr(), given, report, Look::of_stderr())?;
        }
    }
    Ok(())
}

/// Says why `apply` would refuse a policy that is valid.
pub fn foresee(apply_refuses: &[String]) -> io::Result<()> {
    for because in apply_refuses {
        output::remark(Tone::Warning, "apply would refuse it", because)?;
    }
    Ok(())
}
