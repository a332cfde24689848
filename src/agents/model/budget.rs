//! Whether there is room for another step, told before it is made.

use super::{Exhausted, Limits, Usage};

/// The most that one answer may have, reasoning included.
const LONGEST_REPLY: u64 = 16_384;
/// With less no model says anything.
const SHORTEST_REPLY: u64 = 256;
/// Characters of JSON for one token, roughly; on the side of too many tokens.
const BYTES_PER_TOKEN: u64 = 3;

/// Counts what a run has taken, and expects the next step to take what the last one did and what was said since.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    limits: &'a Limits,
    steps: u32,
    spent: Usage,
    last: Usage,
    /// The length of the request that `last` was for.
    sent: u64,
}

/// What room there is.
#[derive(Debug, PartialEq)]
pub(super) enum Room {
    /// For this step and another.
    Plenty,
    /// For this step only.
    Last,
    None(Exhausted),
}

impl<'a> Budget<'a> {
    pub(super) fn new(limits: &'a Limits) -> Budget<'a> {
        let none = Usage::default();
        Budget { limits, steps: 0, spent: none, last: none, sent: 0 }
    }

    /// What room there is for a request of so many bytes.
    pub(super) fn room(&self, bytes: u64) -> Room {
        let more = bytes.saturating_sub(self.sent) / BYTES_PER_TOKEN;
        let next = Usage {
            input: self.last.input.saturating_add(more),
            output: self.last.output.max(SHORTEST_REPLY),
            ..self.last
        };
        // An answer is cut where there is room for a short one only.
        let short = Usage { output: SHORTEST_REPLY, ..next };
        if let Some(why) = self.exhausted(&[short]) {
            return Room::None(why);
        }
        if self.exhausted(&[next, short]).is_some() { Room::Last } else { Room::Plenty }
    }

    /// Which limit such steps would exceed.
    fn exhausted(&self, steps: &[Usage]) -> Option<Exhausted> {
        let (limits, mut then) = (self.limits, self.spent);
        steps.iter().for_each(|step| then += *step);
        if self.steps as usize + steps.len() > limits.steps as usize {
            Some(Exhausted::Steps)
        } else if then.input > limits.input_tokens {
            Some(Exhausted::Input)
        } else if then.output > limits.output_tokens {
            Some(Exhausted::Output)
        } else if limits.cost.is_some_and(|cost| cost.prices.of(&then) > cost.usd) {
            Some(Exhausted::Cost)
        } else {
            None
        }
    }

    /// How much the next answer may have.
    pub(super) fn reply_tokens(&self) -> u64 {
        LONGEST_REPLY.min(self.limits.output_tokens.saturating_sub(self.spent.output)).max(1)
    }

    /// A step was made with a request and an answer of so many bytes. Where the provider did not count, they tell.
    pub(super) fn took(&mut self, usage: Option<Usage>, request: u64, answer: u64) -> Usage {
        let usage = usage.unwrap_or(Usage {
            input: request / BYTES_PER_TOKEN,
            output: answer / BYTES_PER_TOKEN,
            ..Usage::default()
        });
        self.steps += 1;
        self.spent += usage;
        (self.last, self.sent) = (usage, request);
        usage
    }

    pub(super) fn steps(&self) -> u32 {
        self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CostLimit, Prices};
    use super::*;

    fn used(input: u64, output: u64) -> Option<Usage> {
        Some(Usage { input, output, ..Usage::default() })
    }

    #[test]
    fn the_step_before_a_limit_is_the_last_one() {
        let limits = Limits { input_tokens: 5000, ..Limits::default() };
        let mut budget = Budget::new(&limits);
        assert_eq!(budget.room(3000), Room::Plenty);
        budget.took(used(1000, 10), 3000, 0);
        assert_eq!(budget.room(3300), Room::Plenty);
        budget.took(used(1100, 10), 3300, 0);
        // 2100 are gone, and the next two take 1100 and what is new.
        assert_eq!(budget.room(3300), Room::Plenty);
        assert_eq!(budget.room(6000), Room::Last);
        assert_eq!(budget.room(9000), Room::None(Exhausted::Input));
    }

    #[test]
    fn a_request_that_is_too_large_is_not_sent() {
        let limits = Limits { input_tokens: 5000, ..Limits::default() };
        assert_eq!(Budget::new(&limits).room(60_000), Room::None(Exhausted::Input));
        let prices = Prices::new(10.0, 50.0);
        let limits = Limits { cost: Some(CostLimit { usd: 0.1, prices }), ..Limits::default() };
        assert_eq!(Budget::new(&limits).room(60_000), Room::None(Exhausted::Cost));
    }

    #[test]
    fn an_answer_gets_what_is_left() {
        let limits = Limits { output_tokens: 20_000, ..Limits::default() };
        let mut budget = Budget::new(&limits);
        assert_eq!(budget.reply_tokens(), LONGEST_REPLY);
        budget.took(used(10, 19_000), 30, 0);
        assert_eq!(budget.reply_tokens(), 1000);
        assert_eq!(budget.room(30), Room::Last);
        budget.took(used(10, 900), 30, 0);
        assert_eq!(budget.room(30), Room::None(Exhausted::Output));
    }

    #[test]
    fn without_a_count_the_bytes_count() {
        let limits = Limits::default();
        let mut budget = Budget::new(&limits);
        let usage = budget.took(None, 3000, 300);
        assert_eq!((usage.input, usage.output), (1000, 100));
    }
}
