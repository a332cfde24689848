//! Why a request was not answered as asked, for callers over HTTP and gRPC alike.

use http::StatusCode;
use tonic::{Code, Status};

/// A status and the reason in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The service's own fault.
    pub(crate) fn own(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The caller's fault.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// What an upstream called `name` answered, for the caller of this service: its own faults are not ours.
    pub(super) fn from_upstream(name: &str, status: StatusCode, said: &str) -> Self {
        let passed = match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => status,
            status if status.is_client_error() => status,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self::new(passed, format!("{name} answered {}: {said}", status.as_u16()))
    }

    /// An upstream that could not be asked.
    pub(super) fn unreachable(name: &str, address: &str, why: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("cannot reach {name} at {address}: {why}"),
        )
    }

    pub(super) fn to_rpc(&self) -> Status {
        Status::new(code(self.status), self.message.clone())
    }
}

/// The gRPC code that means the same.
pub(super) fn code(status: StatusCode) -> Code {
    match status.as_u16() {
        200..=299 => Code::Ok,
        400 => Code::InvalidArgument,
        402 | 409 | 412 => Code::FailedPrecondition,
        404 => Code::NotFound,
        429 => Code::ResourceExhausted,
        501 => Code::Unimplemented,
        502 | 503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        _ => Code::Internal,
    }
}

/// The HTTP status that means the same.
pub(super) fn status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstreams_own_faults_are_told_from_ours() {
        for (answered, passed) in [(500, 502), (502, 502), (503, 503), (504, 504), (404, 404)] {
            let status = StatusCode::from_u16(answered).unwrap();
            let failure = Failure::from_upstream("stock", status, "no");
            assert_eq!(failure.status.as_u16(), passed);
            assert_eq!(failure.message, format!("stock answered {answered}: no"));
        }
    }

    #[test]
    fn what_grpc_can_say_survives_it() {
        for known in [400, 404, 429, 500, 501, 503, 504] {
            let known = StatusCode::from_u16(known).unwrap();
            assert_eq!(status(code(known)), known);
        }
    }
}
