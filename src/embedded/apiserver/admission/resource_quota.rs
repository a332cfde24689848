//! ResourceQuotas in dry runs. What is stored is checked when it is committed, together with what it is charged.

use futures::future::BoxFuture;
use serde_json::Value;

use super::super::kinds::ValueExt;
use super::super::quota::{self, Step};
use super::super::status::ApiError;
use super::{Admission, Operation, Plugin};

/// Refuses what would not fit.
pub(super) struct Quotas;

impl Plugin for Quotas {
    fn check<'a>(
        &'a self,
        admission: &'a Admission<'a>,
        document: Option<&'a Value>,
        old: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(std::future::ready(check(admission, document, old)))
    }
}

fn check(
    admission: &Admission<'_>,
    document: Option<&Value>,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    let resource = admission.resource;
    let creates = admission.operation == Operation::Create;
    let must_fit = quota::must_fit(resource, admission.subresource, creates);
    let (true, true, Some(new)) = (admission.dry_run && must_fit, resource.namespaced, document)
    else {
        return Ok(());
    };
    let step = Step { resource, namespace: admission.namespace, old, new: Some(new), must_fit };
    quota::check(admission.api, step).map_err(|why| {
        ApiError::forbidden(resource.qualified(), new.text(&["metadata", "name"]), &why)
    })
}
