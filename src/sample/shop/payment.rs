//! Takes money from cards and gives it back, over TLS. Its certificate comes from an authority of its own.

use http::StatusCode;
use serde_json::json;

use super::{
    frame::{AUTHORITY, Answering, Call, Failure, Reply, Route, Service},
    messages::{CHARGE, Charge, REFUND, Receipt},
};

pub(super) struct Payment {
    /// The certificate of the authority.
    pub(super) authority: String,
}

impl Service for Payment {
    fn routes(&self) -> &'static [Route] {
        const { &[Route::get(AUTHORITY), Route::rpc(CHARGE), Route::rpc(REFUND)] }
    }

    fn answer<'a>(&'a self, call: &'a Call) -> Answering<'a> {
        Box::pin(async move {
            match call.asks().1 {
                CHARGE => {
                    let charge: Charge = call.message()?;
                    if !is_card(&charge.card) {
                        let why = "the card's number is not valid";
                        return Err(Failure::new(StatusCode::BAD_REQUEST, why));
                    }
                    if charge.cents == 0 || charge.order.is_empty() {
                        return Err(Failure::bad("there is nothing to pay for"));
                    }
                    Ok(Reply::message(&Receipt { charge: format!("charge-{}", charge.order) }))
                }
                REFUND => Ok(Reply::message(&call.message::<Receipt>()?)),
                _ => Ok(Reply::json(&json!({ "certificate": self.authority }))),
            }
        })
    }
}

/// Whether the digits add up as those of a card's number do.
fn is_card(number: &str) -> bool {
    let digits: Option<Vec<u32>> =
        number.chars().filter(|c| *c != ' ').map(|digit| digit.to_digit(10)).collect();
    let Some(digits) = digits.filter(|digits| (12..=19).contains(&digits.len())) else {
        return false;
    };
    let doubled = digits.iter().rev().enumerate().map(|(place, digit)| match place % 2 {
        0 => *digit,
        _ => digit * 2 / 10 + digit * 2 % 10,
    });
    doubled.sum::<u32>().is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::is_card;

    #[test]
    fn a_mistyped_card_is_noticed() {
        assert!(is_card("4242 4242 4242 4242"));
        for bad in ["4242 4242 4242 4243", "", "0000", "4242-4242-4242-4242"] {
            assert!(!is_card(bad), "{bad}");
        }
    }
}
