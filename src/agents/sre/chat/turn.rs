//! Whose turn it is: few questions at once, and one of each asker, since each may take as much of the model as an analysis.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::sre::refusal::Refusal;

/// Chats at once.
const AT_ONCE: usize = 5;

/// Who is being answered. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashSet<String>>>);

impl Turns {
    /// A turn of `subject`, unless it has one or there are too many.
    pub(super) fn take(&self, subject: &str) -> Result<Turn, Refusal> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.contains(subject) {
            return Err(Refusal::OneAtATime);
        }
        if taken.len() >= AT_ONCE {
            return Err(Refusal::Crowded(AT_ONCE));
        }
        taken.insert(subject.to_owned());
        Ok(Turn { turns: self.clone(), subject: subject.to_owned() })
    }
}

/// It ends when this is dropped.
pub(super) struct Turn {
    turns: Turns,
    subject: String,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asker_has_one_turn_and_few_have_one_at_once() {
        let turns = Turns::default();
        let first = turns.take("ann").ok().unwrap();
        assert!(matches!(turns.clone().take("ann"), Err(Refusal::OneAtATime)));
        let others: Vec<Turn> =
            ["b", "c", "d", "e"].map(|who| turns.take(who).ok().unwrap()).into();
        assert!(matches!(turns.take("f"), Err(Refusal::Crowded(AT_ONCE))));
        drop(first);
        assert!(turns.take("f").is_ok() && turns.take("ann").is_ok());
        drop(others);
    }
}
