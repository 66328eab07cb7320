//! What it costs to pass tokens on: processor time for a thousand, in long answers that come at a
//! pace, so that what an answer costs once hardly counts.

use std::time::Duration;

use anyhow::Result;

use super::cost::{Cost, Meter, pairs};
use super::{AT_ONCE, Amount};
use crate::fake::Fake;
use crate::ground::Ground;
use crate::measured::Sample;
use crate::passthrough::PassThrough;
use crate::report::{Report, milliseconds};
use crate::stoa::{Instance, Platform, Stoa};

/// A thousand tokens, four hundred a second.
const BEHAVIOUR: &str = "tokens=1000,rate=400";
/// How long one answer takes then.
const ANSWER: Duration = Duration::from_millis(2_500);

pub(crate) async fn measure(ground: &Ground, amount: Amount, report: &mut Report) -> Result<()> {
    let http = crate::client::Http::new()?;
    let fake = Fake::start().await?;
    let platform = Platform::create(ground, "tokens").await?;
    let stoa = Stoa::start(ground, &platform, &http).await?;
    let pass_through = PassThrough::start(&fake).await?;
    let instances = Instance::several(&stoa, &platform, &fake, &http).await?;
    fake.behave(&http, BEHAVIOUR).await?;
    let meter = Meter {
        ground,
        http: &http,
        amount: Amount { turns: 1, ..amount },
    };
    let (mut turns, mut direct): (Vec<(Cost, Cost)>, Vec<Cost>) = (Vec::new(), Vec::new());
    // The first turn warms connections, plans and caches, and is not counted.
    for round in 0..=amount.rounds {
        let asked = Instance::conversations_of(&instances, &http, AT_ONCE).await?;
        let above = meter.turn(stoa.process.id()?, asked, ANSWER).await?;
        let asked = vec![pass_through.conversation(&fake); AT_ONCE];
        let below = meter
            .turn(pass_through.process.id()?, asked, ANSWER)
            .await?;
        let asked = vec![fake.directly(); AT_ONCE];
        let without = meter.turn(fake.process.id()?, asked, ANSWER).await?;
        if round > 0 {
            turns.push((above, below));
            direct.push(without);
        }
    }
    report.section(
        &format!("Processor time for 1,000 tokens, {AT_ONCE} answers at once at 400 tokens a second: Stoa over a bare pass-through"),
        ["Stoa", "pass-through"],
    );
    for (name, times) in [
        ("server", pairs(&turns, |cost| cost.server)),
        ("PostgreSQL", pairs(&turns, |cost| cost.postgres)),
        ("client", pairs(&turns, |cost| cost.client)),
    ] {
        report.pairs(name, &times, milliseconds, "");
    }
    let median = |of: fn(&Cost) -> f64| Sample::of(direct.iter().map(of)).median();
    report.remark(&format!(
        "Without anything between, the client takes {} and the fake {}.",
        milliseconds(median(|cost| cost.client)),
        milliseconds(median(|cost| cost.server)),
    ));
    stoa.process.stop().await?;
    pass_through.process.stop().await
}
