//! openchoreo.dev/v1alpha1: types, rendering and controllers.
