//! CEL with the Kubernetes and OpenChoreo extensions.
