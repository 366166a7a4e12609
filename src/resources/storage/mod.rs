//! What is kept: buckets and what is in them; the keys that protect it; and the keys that open hosts.

mod bucket;
mod bucket_contents;
mod bucket_folder;
mod bucket_object;
mod bucket_settings;
mod key_file;
mod key_pair;
mod kms_key;
mod lifecycle;
mod pipeline;
mod public_key;
mod tls_policy;
mod upload;

use engine::Kind;

use crate::cloud::Cloud;
pub use bucket::{Bucket, BucketEncryption, BucketObserved};
pub use bucket_contents::{Holding, holding};
pub use bucket_folder::{BucketFolder, BucketFolderObserved};
pub use bucket_object::{BucketObject, BucketObjectObserved, ObjectSource};
pub use key_pair::{KeyPair, KeyPairObserved, KeySource};
pub use kms_key::{KmsKey, KmsKeyObserved};
pub use lifecycle::{LifecycleRule, ObservedRule};
pub use pipeline::{KEPT_VERSIONS, Pipeline, PipelineObserved};
pub use public_key::check_public_key;
pub use upload::sha256_of;

/// This room's rows of the registry.
pub(super) fn kinds() -> Vec<Kind<Cloud>> {
    vec![
        Kind::of::<KeyPair>(),
        Kind::of::<KmsKey>(),
        Kind::of::<Bucket>(),
        Kind::of::<BucketFolder>(),
        Kind::of::<BucketObject>(),
        Kind::of::<Pipeline>(),
    ]
}
