//! What a run may take, and how it is counted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of one run. The defaults are those of an analysis that looks at some dozens of things.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Tokens of all requests together: a conversation is sent again with every step.
    pub input_tokens: u64,
    /// Tokens of all answers together, reasoning included.
    pub output_tokens: u64,
    /// How often the model is asked.
    pub steps: u32,
    /// Money, where prices are known.
    pub cost: Option<CostLimit>,
    /// Time from beginning to end, tools and pauses included.
    pub time: Duration,
    /// Characters of a tool's result; what is more is cut.
    pub result_chars: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            input_tokens: 1_000_000,
            output_tokens: 60_000,
            steps: 40,
            cost: None,
            time: Duration::from_secs(15 * 60),
            result_chars: 8000,
        }
    }
}

/// The most that a run may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostLimit {
    /// US dollars.
    pub usd: f64,
    /// What to reckon with.
    pub prices: Prices,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// Input that is in no cache.
    pub input: f64,
    /// Input read from the provider's cache.
    pub cached: f64,
    /// Input written to it.
    pub written: f64,
    /// Output.
    pub output: f64,
}

impl Prices {
    /// Prices without a rebate for cached input: what is reckoned is then rather too much than too little.
    pub fn new(input: f64, output: f64) -> Prices {
        Prices { input, cached: input, written: input * 1.25, output }
    }

    /// What `usage` costs, in US dollars.
    pub fn of(&self, usage: &Usage) -> f64 {
        let fresh = usage.input.saturating_sub(usage.cached + usage.written);
        let parts = [
            (fresh, self.input),
            (usage.cached, self.cached),
            (usage.written, self.written),
            (usage.output, self.output),
        ];
        // Below 2^53 tokens nothing is lost.
        parts.iter().map(|(tokens, price)| *tokens as f64 * price / 1e6).sum()
    }
}

/// Tokens, as the provider counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All of the input, cached or not.
    pub input: u64,
    /// Of that, what was read from a cache.
    pub cached: u64,
    /// Of that, what was written to one.
    pub written: u64,
    /// The output.
    pub output: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, more: Usage) {
        self.input = self.input.saturating_add(more.input);
        self.cached = self.cached.saturating_add(more.cached);
        self.written = self.written.saturating_add(more.written);
        self.output = self.output.saturating_add(more.output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_and_written_input_have_their_own_price() {
        let prices = Prices { input: 10.0, cached: 1.0, written: 12.0, output: 50.0 };
        let usage = Usage { input: 1_000_000, cached: 500_000, written: 250_000, output: 100_000 };
        assert_eq!(prices.of(&usage), 2.5 + 0.5 + 3.0 + 5.0);
    }
}
