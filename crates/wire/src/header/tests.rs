use super::*;
use crate::testdata::header_facts;
use crate::{ExtFields, FieldInfo, FieldType, Header, HeaderError};

fn fields<H: Header>() -> (&'static str, Vec<FieldInfo>) {
    let mut out = Vec::new();
    H::fields(&mut out);
    (H::JAVA, out)
}

/// Every header that is declared, by its fields.
fn declared() -> Vec<(&'static str, Vec<FieldInfo>)> {
    macro_rules! all {
        ($($header:ident)*) => { vec![$(fields::<$header>()),*] };
    }
    all! {
        AckMessageRequestHeader AddBrokerRequestHeader AddWritePermOfBrokerRequestHeader
        AddWritePermOfBrokerResponseHeader AlterSyncStateSetRequestHeader AlterSyncStateSetResponseHeader
        ApplyBrokerIdRequestHeader ApplyBrokerIdResponseHeader BrokerHeartbeatRequestHeader
        ChangeInvisibleTimeRequestHeader ChangeInvisibleTimeResponseHeader
        CheckRocksdbCqWriteProgressRequestHeader CheckTransactionStateRequestHeader
        CheckTransactionStateResponseHeader CleanControllerBrokerDataRequestHeader
        CloneGroupOffsetRequestHeader ConsumeMessageDirectlyResultRequestHeader
        ConsumerSendMsgBackRequestHeader CreateAclRequestHeader CreateTopicListRequestHeader
        CreateTopicRequestHeader CreateUserRequestHeader DeleteAclRequestHeader DeleteKVConfigRequestHeader
        DeleteSubscriptionGroupRequestHeader DeleteTopicFromNamesrvRequestHeader DeleteTopicRequestHeader
        DeleteUserRequestHeader ElectMasterRequestHeader ElectMasterResponseHeader EndTransactionRequestHeader
        EndTransactionResponseHeader ExchangeHAInfoRequestHeader ExchangeHAInfoResponseHeader
        ExportRocksDBConfigToJsonRequestHeader GetAclRequestHeader GetAllProducerInfoRequestHeader
        GetAllSubscriptionGroupRequestHeader GetAllSubscriptionGroupResponseHeader
        GetAllTopicConfigRequestHeader GetAllTopicConfigResponseHeader GetBrokerConfigResponseHeader
        GetBrokerMemberGroupRequestHeader GetConsumeStatsInBrokerHeader GetConsumeStatsRequestHeader
        GetConsumerConnectionListRequestHeader GetConsumerListByGroupRequestHeader
        GetConsumerListByGroupResponseHeader GetConsumerRunningInfoRequestHeader GetConsumerStatusRequestHeader
        GetEarliestMsgStoretimeRequestHeader GetEarliestMsgStoretimeResponseHeader GetKVConfigRequestHeader
        GetKVConfigResponseHeader GetKVListByNamespaceRequestHeader GetLiteClientInfoRequestHeader
        GetLiteGroupInfoRequestHeader GetLiteTopicInfoRequestHeader GetMaxOffsetRequestHeader
        GetMaxOffsetResponseHeader GetMetaDataResponseHeader GetMinOffsetRequestHeader
        GetMinOffsetResponseHeader GetNextBrokerIdRequestHeader GetNextBrokerIdResponseHeader
        GetParentTopicInfoRequestHeader GetProducerConnectionListRequestHeader GetReplicaInfoRequestHeader
        GetReplicaInfoResponseHeader GetRouteInfoRequestHeader GetSubscriptionGroupConfigRequestHeader
        GetTopicConfigRequestHeader GetTopicStatsInfoRequestHeader GetTopicsByClusterRequestHeader
        GetUserRequestHeader HeartbeatRequestHeader InitConsumerOffsetRequestHeader ListAclsRequestHeader
        ListUsersRequestHeader LiteSubscriptionCtlRequestHeader LockBatchMqRequestHeader
        NotificationRequestHeader NotificationResponseHeader NotifyBrokerRoleChangedRequestHeader
        NotifyConsumerIdsChangedRequestHeader NotifyMinBrokerIdChangeRequestHeader
        NotifyUnsubscribeLiteRequestHeader PeekMessageRequestHeader PollingInfoRequestHeader
        PollingInfoResponseHeader PopLiteMessageRequestHeader PopLiteMessageResponseHeader
        PopMessageRequestHeader PopMessageResponseHeader PullMessageRequestHeader PullMessageResponseHeader
        PutKVConfigRequestHeader QueryConsumeQueueRequestHeader QueryConsumeTimeSpanRequestHeader
        QueryConsumerOffsetRequestHeader QueryConsumerOffsetResponseHeader QueryCorrectionOffsetHeader
        QueryDataVersionRequestHeader QueryDataVersionResponseHeader QueryMessageRequestHeader
        QueryMessageResponseHeader QuerySubscriptionByConsumerRequestHeader QueryTopicConsumeByWhoRequestHeader
        QueryTopicsByConsumerRequestHeader RecallMessageRequestHeader RecallMessageResponseHeader
        RegisterBrokerRequestHeader RegisterBrokerResponseHeader RegisterBrokerToControllerRequestHeader
        RegisterBrokerToControllerResponseHeader RegisterTopicRequestHeader RemoveBrokerRequestHeader
        ReplyMessageRequestHeader ResetMasterFlushOffsetHeader ResetOffsetRequestHeader
        ResumeCheckHalfMessageRequestHeader SearchOffsetRequestHeader SearchOffsetResponseHeader
        SendMessageRequestHeader SendMessageRequestHeaderV2 SendMessageResponseHeader
        StatisticsMessagesRequestHeader TriggerLiteDispatchRequestHeader UnRegisterBrokerRequestHeader
        UnlockBatchMqRequestHeader UnregisterClientRequestHeader UnregisterClientResponseHeader
        UpdateAclRequestHeader UpdateConsumerOffsetRequestHeader UpdateConsumerOffsetResponseHeader
        UpdateGroupForbiddenRequestHeader UpdateUserRequestHeader ViewBrokerStatsDataRequestHeader
        ViewMessageRequestHeader ViewMessageResponseHeader WipeWritePermOfBrokerRequestHeader
        WipeWritePermOfBrokerResponseHeader RpcRequestHeader TopicRequestHeader
    }
}

/// Headers of 4.9.7 that 5.5.0 no longer has, and ones that only Java controllers exchange among themselves.
const NOT_DECLARED: [&str; 19] = [
    "BrokerCloseChannelRequest",
    "BrokerCloseChannelResponse",
    "CheckNotActiveBrokerRequest",
    "CheckNotActiveBrokerResponse",
    "CreateAccessConfigRequestHeader",
    "DeleteAccessConfigRequestHeader",
    "GetBrokerAclConfigResponseHeader",
    "GetBrokerClusterAclConfigResponseHeader",
    "GetBrokerLiveInfoRequest",
    "GetBrokerLiveInfoResponse",
    "GetSyncStateDataRequest",
    "RaftBrokerHeartBeatEventRequest",
    "RaftBrokerHeartBeatEventResponse",
    "RegisterFilterServerRequestHeader",
    "RegisterFilterServerResponseHeader",
    "RegisterMessageFilterClassRequestHeader",
    "RegisterOrderTopicRequestHeader",
    "TopicQueueRequestHeader",
    "UpdateGlobalWhiteAddrsConfigRequestHeader",
];

#[test]
fn every_header_has_the_fields_java_reflects() {
    let facts = header_facts();
    let mut declared = declared();
    declared.sort_by_key(|(name, _)| *name);
    let names: Vec<&str> = declared.iter().map(|(name, _)| *name).collect();
    let expected: Vec<&str> = facts
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .filter(|name| !NOT_DECLARED.contains(name))
        .collect();
    assert_eq!(names, expected);
    for (name, fields) in declared {
        let ours: Vec<(String, String, bool)> =
            fields.iter().map(|f| (f.name.to_owned(), java_type(f.ty).to_owned(), f.required)).collect();
        let java: Vec<(String, String, bool)> = facts[name]["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| {
                let ty = f["type"].as_str().unwrap();
                // The one enumeration among all fields travels as its name.
                let ty = if ty == "common.BoundaryType" { "String" } else { ty };
                (f["name"].as_str().unwrap().to_owned(), ty.to_owned(), f["required"].as_bool().unwrap())
            })
            .collect();
        assert_eq!(ours, java, "{name}");
    }
}

fn java_type(ty: FieldType) -> &'static str {
    match ty {
        FieldType::String => "String",
        FieldType::Int => "int",
        FieldType::BoxedInt => "Integer",
        FieldType::Long => "long",
        FieldType::BoxedLong => "Long",
        FieldType::Boolean => "boolean",
        FieldType::BoxedBoolean => "Boolean",
    }
}

#[test]
fn a_missing_required_field_is_named() {
    let ext: ExtFields = [("other", "1")].into_iter().collect();
    assert_eq!(DeleteTopicRequestHeader::decode(&ext), Err(HeaderError::Missing("topic")));
}

#[test]
fn an_unreadable_number_is_absent_where_it_is_optional_and_an_error_in_fast_headers() {
    let ext: ExtFields = [("offset", "1"), ("group", "g"), ("delayLevel", "2"), ("maxReconsumeTimes", " 3")]
        .into_iter()
        .collect();
    let header = ConsumerSendMsgBackRequestHeader::decode(&ext).unwrap();
    assert_eq!(header.max_reconsume_times, None);
    let mut ext = ExtFields::new();
    SendMessageRequestHeaderV2::default().encode(&mut ext);
    assert!(SendMessageRequestHeaderV2::decode(&ext).is_ok());
    ext.insert("j", "x");
    assert!(matches!(SendMessageRequestHeaderV2::decode(&ext), Err(HeaderError::Invalid { name: "j", .. })));
    ext.remove("j");
    ext.insert("e", "99999999999");
    assert!(matches!(SendMessageRequestHeaderV2::decode(&ext), Err(HeaderError::Invalid { name: "e", .. })));
}

#[test]
fn a_missing_primitive_is_zero_unless_java_starts_it_otherwise() {
    let ext: ExtFields = [("topic", "t"), ("queueId", "3")].into_iter().collect();
    assert!(GetMaxOffsetRequestHeader::decode(&ext).unwrap().committed);
    let pull = PullMessageResponseHeader { next_begin_offset: 5, ..Default::default() };
    let mut ext = ExtFields::new();
    pull.encode(&mut ext);
    assert_eq!(ext.get("nextBeginOffset"), Some("5"));
    assert_eq!(ext.get("topicSysFlag"), None);
    assert_eq!(PullMessageResponseHeader::decode(&ext), Ok(pull));
}

#[test]
fn version_2_of_the_send_header_is_version_1_with_short_names() {
    let v1 = SendMessageRequestHeader {
        producer_group: "p".into(),
        topic: "t".into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        queue_id: 1,
        sys_flag: 2,
        born_timestamp: 3,
        flag: 5,
        properties: Some("a\u{1}b\u{2}".into()),
        reconsume_times: Some(6),
        unit_mode: Some(true),
        batch: Some(false),
        max_reconsume_times: Some(7),
        inherited: TopicRequestHeader {
            lo: None,
            inherited: RpcRequestHeader { bname: Some("b".into()), ..Default::default() },
        },
    };
    let v2 = SendMessageRequestHeaderV2::from(v1.clone());
    let mut ext = ExtFields::new();
    v2.encode(&mut ext);
    assert_eq!((ext.get("a"), ext.get("l"), ext.get("n")), (Some("p"), Some("7"), Some("b")));
    assert_eq!(SendMessageRequestHeader::from(SendMessageRequestHeaderV2::decode(&ext).unwrap()), v1);
}
