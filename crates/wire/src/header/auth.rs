//! Users and access rules.

use crate::Header;

/// The request header of `AUTH_CREATE_ACL`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct CreateAclRequestHeader {
    /// `User:name`.
    pub subject: Option<String>,
}

/// The request header of `AUTH_CREATE_USER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct CreateUserRequestHeader {
    /// The user name.
    pub username: Option<String>,
}

/// The request header of `AUTH_DELETE_ACL`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct DeleteAclRequestHeader {
    /// `User:name`.
    pub subject: Option<String>,
    /// The kind of policy.
    pub policy_type: Option<String>,
    /// The resource.
    pub resource: Option<String>,
}

/// The request header of `AUTH_DELETE_USER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct DeleteUserRequestHeader {
    /// The user name.
    pub username: Option<String>,
}

/// The request header of `AUTH_GET_ACL`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetAclRequestHeader {
    /// `User:name`.
    pub subject: Option<String>,
}

/// The request header of `AUTH_GET_USER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetUserRequestHeader {
    /// The user name.
    pub username: Option<String>,
}

/// The request header of `AUTH_LIST_ACL`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ListAclsRequestHeader {
    /// Part of the subject.
    pub subject_filter: Option<String>,
    /// Part of the resource.
    pub resource_filter: Option<String>,
}

/// The request header of `AUTH_LIST_USER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ListUsersRequestHeader {
    /// Part of the user name.
    pub filter: Option<String>,
}

/// The request header of `AUTH_UPDATE_ACL`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct UpdateAclRequestHeader {
    /// `User:name`.
    pub subject: Option<String>,
}

/// The request header of `AUTH_UPDATE_USER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct UpdateUserRequestHeader {
    /// The user name.
    pub username: Option<String>,
}
