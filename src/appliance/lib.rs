//! Instances: the ledger, its steps and the plans of up and down.
