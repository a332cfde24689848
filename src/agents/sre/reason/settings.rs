//! Which model is to be asked: files with the names that upstream's agent knows as variables, and those of the limit of
//! costs, which are ours.

use std::io::ErrorKind;
use std::path::Path;

use crate::model::{CostLimit, Endpoint, Prices, Secret};

/// The most that one analysis may cost, in US dollars.
const COST: &str = "RCA_COST_LIMIT_USD";
/// What a million tokens cost that are read, and that are written.
const PRICES: [&str; 2] = ["RCA_PRICE_INPUT_USD", "RCA_PRICE_OUTPUT_USD"];
/// No amount is more.
const MOST: f64 = 1e6;

/// The model in `folder`; `None` when none is configured. The error is a sentence, without the key.
pub(in crate::sre) async fn endpoint(folder: &Path) -> Result<Option<Endpoint>, String> {
    let Some(name) = read(folder, "RCA_MODEL_NAME").await? else { return Ok(None) };
    let key = read(folder, "RCA_LLM_API_KEY").await?.unwrap_or_default();
    let base = read(folder, "RCA_LLM_BASE_URL").await?;
    let endpoint = Endpoint::parse(&name, base.as_deref(), Secret::new(key));
    let mut endpoint = endpoint.map_err(|error| error.to_string())?;
    endpoint.limits.cost = cost(folder).await?;
    Ok(Some(endpoint))
}

/// What a run may cost, if that is limited. A limit that cannot be kept is none: it is not left out silently.
async fn cost(folder: &Path) -> Result<Option<CostLimit>, String> {
    let [input, output] = PRICES;
    let amounts = (
        dollars(folder, COST).await?,
        dollars(folder, input).await?,
        dollars(folder, output).await?,
    );
    match amounts {
        (None, None, None) => Ok(None),
        (Some(0.0), ..) => Err(format!(
            "the setting {COST} is 0: then nothing may be asked; leave the model out instead"
        )),
        (Some(usd), Some(input), Some(output)) => {
            Ok(Some(CostLimit { usd, prices: Prices::new(input, output) }))
        }
        _ => Err(format!(
            "the settings {COST}, {input} and {output} go together: the US dollars that an analysis may cost, and what a \
             million tokens cost that are read and written"
        )),
    }
}

async fn dollars(folder: &Path, name: &str) -> Result<Option<f64>, String> {
    let Some(text) = read(folder, name).await? else { return Ok(None) };
    let amount = text.parse().ok().filter(|amount| (0.0..=MOST).contains(amount));
    let amount = amount.ok_or_else(|| {
        let shown: String = text.chars().filter(|char| !char.is_control()).take(40).collect();
        format!("the setting {name} is {shown:?}: it must be US dollars, such as 0.5")
    });
    amount.map(Some)
}

/// What the file `name` says; `None` when it is not there or empty.
async fn read(folder: &Path, name: &str) -> Result<Option<String>, String> {
    match tokio::fs::read_to_string(folder.join(name)).await {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("the setting {name} cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(files: &[(&str, &str)]) -> Result<Option<CostLimit>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let named = [("RCA_MODEL_NAME", "openai:model-x"), ("RCA_LLM_API_KEY", "key")];
        for (name, text) in named.iter().chain(files) {
            std::fs::write(folder.path().join(name), text).expect("writes");
        }
        endpoint(folder.path()).await.map(|found| found.expect("a model").limits.cost)
    }

    #[tokio::test]
    async fn costs_are_limited_where_all_is_said_that_it_takes() {
        assert_eq!(of(&[]).await, Ok(None));
        let all = [(COST, "0.5\n"), (PRICES[0], "3"), (PRICES[1], "15")];
        let prices = Prices::new(3.0, 15.0);
        assert_eq!(of(&all).await, Ok(Some(CostLimit { usd: 0.5, prices })));
        let free = [(COST, "1"), (PRICES[0], "0"), (PRICES[1], "0")];
        assert!(of(&free).await.expect("a model of one's own").is_some());
    }

    #[tokio::test]
    async fn a_limit_that_cannot_be_kept_is_no_limit_and_said() {
        for (files, words) in [
            (&[(COST, "0.5")][..], "go together"),
            (&[(PRICES[0], "3"), (PRICES[1], "15")], "go together"),
            (&[(COST, "0"), (PRICES[0], "3"), (PRICES[1], "15")], "nothing may be asked"),
            (&[(COST, "-1"), (PRICES[0], "3"), (PRICES[1], "15")], "RCA_COST_LIMIT_USD is \"-1\""),
            (&[(COST, "1"), (PRICES[0], "$3"), (PRICES[1], "15")], "RCA_PRICE_INPUT_USD is \"$3\""),
            (&[(COST, "1"), (PRICES[0], "3"), (PRICES[1], "NaN")], "RCA_PRICE_OUTPUT_USD"),
            (&[(COST, "inf"), (PRICES[0], "3"), (PRICES[1], "15")], "such as 0.5"),
        ] {
            let said = of(files).await.expect_err("nonsense");
            assert!(said.contains(words), "{said}");
        }
    }
}
