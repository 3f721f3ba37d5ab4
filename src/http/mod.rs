//! What all routes share: reading bodies, the route table and its description,
//! and the edge that every answer leaves through. Knows nothing of the product.

pub mod body;
pub mod client_address;
pub mod condition;
pub mod cors;
pub mod edge;
pub mod encoding;
pub mod endpoint;
pub mod finished;
mod members;
pub mod page;
pub mod path;
pub mod public_url;
pub mod reply;
pub mod request_id;
pub mod then;
pub mod wire;
