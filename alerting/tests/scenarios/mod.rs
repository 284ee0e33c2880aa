//! What alerting must do, whatever the database: each scenario runs on SQLite and on PostgreSQL.

#[path = "../support/mod.rs"]
pub mod support;

pub mod audit;
pub mod clocks;
pub mod demonstrations;
pub mod grouping;
pub mod incidents;
pub mod intake;
pub mod notifications;
pub mod people;
pub mod queue;
pub mod replays;
pub mod requests;
pub mod rules;
pub mod sign_in;
pub mod stream;
pub mod suppressions;

use std::future::Future;
use std::pin::Pin;

use support::Place;

/// A scenario: its name, and what it does at a place of its own.
#[allow(dead_code, reason = "one of the two test binaries uses it")]
pub type Scenario = (
    &'static str,
    fn(Place) -> Pin<Box<dyn Future<Output = ()> + Send>>,
);

/// Names the scenarios once: a constant to walk, and a macro that makes a test of each.
macro_rules! scenarios {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        #[allow(dead_code, reason = "one of the two test binaries uses it")]
        pub const ALL: &[Scenario] =
            &[$((stringify!($name), |place| Box::pin($module::$name(place)))),+];

        #[allow(unused_macros, reason = "one of the two test binaries uses it")]
        macro_rules! each_scenario {
            ($run:ident) => {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                    async fn $name() {
                        $run(scenarios::$module::$name).await;
                    }
                )+
            };
        }
        #[allow(unused_imports, reason = "one of the two test binaries uses it")]
        pub(crate) use each_scenario;
    };
}

scenarios! {
    intake::matches_become_alerts_and_incidents,
    intake::a_replay_changes_nothing,
    intake::any_order_gives_the_same_incidents,
    intake::a_growing_correlation_is_counted_once,
    intake::an_event_of_several_alerts_is_one_event,
    intake::rules_below_the_level_are_silent,
    intake::evidence_is_bounded_and_the_count_exact,
    intake::a_failing_commit_leaves_nothing_and_is_tried_again,
    intake::what_the_database_refuses_holds_up_nothing_else,
    intake::hostile_text_is_stored,
    intake::an_alert_that_closes_a_gap_joins_two_incidents,
    intake::a_closed_incident_stays_closed,
    intake::a_window_that_grows_after_its_incident_was_closed_is_told_with_what_is_new,
    intake::what_waits_at_shutdown_is_taken_in,
    sign_in::the_right_password_opens_and_signing_out_closes,
    sign_in::wrong_passwords_are_counted,
    sign_in::refused_sign_ins_are_audited_without_a_flood,
    sign_in::a_session_ends_by_itself,
    sign_in::a_reset_ends_sessions,
    sign_in::the_first_administrator_is_made_once,
    sign_in::every_route_wants_a_session,
    sign_in::changes_want_the_token,
    demonstrations::a_demonstration_is_marked_and_never_beside_what_is_real,
    demonstrations::what_is_real_does_not_become_a_demonstration,
    incidents::a_list_goes_on_by_cursor,
    incidents::an_incident_shows_all_that_belongs_to_it,
    incidents::two_analysts_do_not_overwrite_each_other,
    incidents::what_is_closed_has_a_verdict,
    incidents::bad_requests_name_field_and_reason,
    incidents::a_verdict_an_assignee_and_comments_are_kept,
    incidents::many_change_at_once_and_failures_are_listed,
    incidents::a_merge_leaves_a_trace_and_later_alerts_follow_it,
    people::every_route_as_every_role_inside_and_outside,
    people::people_see_their_subtree,
    people::people_are_managed,
    people::tokens_work_until_they_end,
    audit::what_people_do_is_told_without_secrets,
    audit::a_touched_log_is_found_out,
    audit::heads_are_told_to_other_machines,
    stream::changes_arrive_and_resume,
    stream::changes_of_another_process_arrive,
    incidents::rules_tell_how_often_they_were_right,
    incidents::titles_are_kept_in_vietnamese,
    notifications::a_webhook_is_signed_grouped_and_tried_again,
    notifications::an_incident_that_becomes_worse_is_told_of,
    notifications::an_email_tells_of_new_and_of_overdue_incidents,
    notifications::what_cannot_be_delivered_is_given_up_and_sent_when_asked,
    notifications::a_route_is_checked_before_it_is_made,
    notifications::an_email_travels_encrypted_and_signed_in,
    clocks::clocks_run_out_are_alarmed_once_and_stop,
    suppressions::a_rule_is_called_what_it_is_called_now,
    suppressions::a_suppression_hides_counts_and_ends,
    suppressions::a_hidden_correlation_grows_and_an_early_end_holds_at_once,
    suppressions::a_preview_tells_what_would_have_been_hidden,
    suppressions::suppressions_want_a_reason_an_end_and_something_to_hide,
    suppressions::a_suppression_of_a_unit_means_its_subtree,
    grouping::alerts_that_share_something_are_one_incident,
    grouping::what_many_hosts_share_joins_nothing,
    grouping::an_incident_is_called_after_its_most_severe_rule,
    grouping::any_order_joins_the_same_alerts,
    grouping::an_incident_takes_in_only_so_much,
    grouping::scores_follow_rules_tactics_and_verdicts,
    grouping::open_incidents_follow_the_verdicts_on_their_rule,
    queue::facets_count_what_the_filter_lets_through,
    queue::bars_begin_where_the_days_of_the_reader_do,
    queue::the_most_urgent_come_first,
    queue::a_bulk_change_is_undone,
    queue::an_entity_tells_its_history,
    queue::views_are_kept_per_person,
    queue::units_are_renamed_moved_and_merged,
    queue::two_administrators_do_not_overwrite_each_others_units,
    queue::an_old_table_of_units_undoes_no_merge,
    queue::the_audit_log_is_searched,
    requests::what_is_wrong_with_a_request_is_said_with_its_place,
    requests::a_time_that_ends_before_it_begins_is_refused,
    grouping::an_incident_of_several_offices_is_seen_from_above_both,
    replays::what_is_sent_twice_is_done_once,
    replays::what_creates_can_be_sent_twice,
    replays::an_outcome_that_nobody_knows_is_told,
    notifications::a_receiver_that_is_away_is_told_of_until_something_gets_through,
    rules::a_switch_holds_at_once_and_counts_what_it_hides,
    rules::a_rule_is_explained,
    rules::techniques_are_covered_and_hit,
}
