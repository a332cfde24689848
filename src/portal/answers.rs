//! Answers that a person got to questions about reports: a page that is loaded again shows them again and asks nobody.
//!
//! They are the session's, as few as it needs, and go with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Answers of a session that are kept; the oldest go first.
const MOST: usize = 4;
/// Of each, so many characters.
const LONGEST: usize = 16 << 10;

/// A question and its answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    id: u64,
    incident: String,
    pub(crate) question: String,
    pub(crate) words: String,
}

/// The answers of a session.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<(u64, VecDeque<Arc<Answer>>)>);

impl Answers {
    /// Keeps an answer about an incident; the number it has from now on.
    pub(crate) fn keep(&self, incident: &str, question: String, words: &str) -> u64 {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0 += 1;
        let id = kept.0;
        if kept.1.len() >= MOST {
            kept.1.pop_front();
        }
        let words = match words.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &words[..end]),
            None => words.to_owned(),
        };
        kept.1.push_back(Arc::new(Answer { id, incident: incident.to_owned(), question, words }));
        id
    }

    /// The answer of that number, if it is about that incident.
    pub(crate) fn find(&self, incident: &str, id: u64) -> Option<Arc<Answer>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.1.iter().find(|one| one.id == id && one.incident == incident).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::{Answers, LONGEST, MOST};

    #[test]
    fn a_few_answers_are_kept_and_none_without_a_bound() {
        let answers = Answers::default();
        let first = answers.keep("i", "Why?".to_owned(), &"é".repeat(LONGEST + 9));
        let kept = answers.find("i", first).unwrap();
        assert_eq!((kept.words.chars().count(), kept.question.as_str()), (LONGEST + 1, "Why?"));
        assert!(answers.find("other", first).is_none() && answers.find("i", 99).is_none());
        let last = (0..MOST).map(|_| answers.keep("i", String::new(), "so")).last().unwrap();
        assert!(answers.find("i", first).is_none(), "the oldest went");
        assert_eq!(answers.find("i", last).unwrap().words, "so");
    }
}
