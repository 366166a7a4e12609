//! Tests of whole specs.
