//! What the routes answer.

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::page::Pagination;
use crate::jobs::views::JobView;

#[derive(Serialize, ToSchema)]
pub struct JobsAnswer {
    pub jobs: Vec<JobView>,
    pub pagination: Pagination,
}

#[derive(Serialize, ToSchema)]
pub struct JobAnswer {
    pub job: JobView,
}
