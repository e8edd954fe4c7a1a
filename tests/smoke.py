"""The short selection of functional tests: some of all that differs between interpreters and Gunicorn releases."""

from __future__ import annotations

#: Tests by their module, over TCP and with the parser that most users have.
SELECTION = {module: tests.split() for module, tests in {
    "test_bad_bodies": "test_truncated_for_an_application_that_does_not_look test_error_stays_an_error",
    "test_bad_heads": "test_limits test_error_page",
    "test_context": """
        test_next_request_of_the_connection_sees_nothing test_concurrent_requests_see_their_own
        test_generator_leaves_nothing test_concurrent_requests_do_not_share_thread_locals
        test_what_was_set_at_start_is_seen_by_every_request""",
    "test_fairness": """
        test_pipelining_client_goes_to_the_back_of_the_queue test_file_for_a_fast_reader_lets_others_have_their_turn
        test_pipelining_client_that_never_reads_is_given_up""",
    "test_hooks": "test_life_of_a_server",
    "test_hooks_request": "test_what_there_is_to_read",
    "test_http_body": "test_large_body test_trailers_are_parsed",
    "test_http_connection": """
        test_keep_alive test_pipelined_requests_of_every_kind test_request_byte_by_byte
        test_bad_request_behind_good_ones_is_answered_last test_client_that_leaves_is_not_worth_a_word
        test_unread_body_that_stalls_closes_after_a_while""",
    "test_checks": """
        test_greenlets_that_share_a_context test_nothing_to_find test_preload_without_a_patched_master
        test_driver_that_comes_with_the_application test_parts test_reload_that_cannot_work_is_refused""",
    "test_doctor": "test_fine",
    "test_failing_starts": """
        test_library_that_has_lost_its_extensions test_library_that_is_asked_for_what_there_is_not
        test_reload_with_a_library_that_does_not_work_is_refused test_application_that_ends_the_process""",
    "test_http_continue": "test_reading_asks_for_the_body_once test_reading_asks_for_a_chunked_body",
    "test_http_file": "test_regular_file_is_sent_by_the_kernel test_file_is_closed_when_the_client_leaves",
    "test_http_response": """
        test_generator_is_streamed_as_it_yields test_parts_are_chunked_for_http_1_1 test_large_body_arrives_whole""",
    "test_logging": "test_default_format",
    "test_drain": """
        test_answer_that_is_made_after_the_signal_closes test_connections_in_the_kernels_queue_are_served""",
    "test_drain_keepalive": "test_idle_connection_may_have_a_last_request",
    "test_forked": "test_parent_answers_and_the_child_is_no_worker",
    "test_readiness": "test_stays_during_a_reload",
    "test_recycle": "test_max_requests_with_an_application_that_loads_slowly",
    "test_reload_broken": "test_module_that_is_gone",
    "test_reload_generations": """
        test_old_worker_serves_until_its_successor_is_ready test_workers_are_replaced_one_by_one
        test_second_reload_while_the_first_boots test_nobody_waits_at_a_socket_of_a_worker_that_boots
        test_reloads_in_a_row_do_not_pile_workers_up""",
    "test_reload_stop": "test_while_the_new_generation_boots test_while_a_rehearsal_hangs",
    "test_upgrade": "test_upgrade_loses_nothing",
    "test_settings_limits": """
        test_worker_connections_are_counted_over_all_listeners test_max_requests_replaces_the_worker
        test_max_requests_with_jitter_is_when_the_worker_asks""",
    "test_settings_master": "test_control_socket_is_the_only_one_after_reloads",
    "test_settings_process": "test_proc_name",
    "test_settings_proxy_protocol": "test_v1 test_v2",
    "test_settings_start": """
        test_own_settings_from_configure test_refuses_what_is_not_done
        test_refuses_what_it_does_not_know_in_configure""",
    "test_signals": "test_term_lets_a_request_finish test_term_does_not_wait_for_idle_connections test_quick_stop",
    "test_signals_control": "test_usr1_reopens_the_logs",
    "test_slow_heads": "test_late_head_behind_other_requests",
    "test_unforkable": "test_reload_that_cannot_fork",
    "test_system_calls": """
        test_small_answer_of_one_part_is_one_call test_first_part_of_several_in_chunks
        test_first_part_that_is_large""",
    "test_takeover": "test_websocket_echoes",
    "test_tls": "test_keepalive_and_pipelining",
    "test_worker": """
        test_patched_after_the_fork_and_before_the_application_is_loaded test_idle_connections_have_no_greenlet
        test_socket_that_nobody_looks_at_is_not_duplicated""",
    "test_wsgi_validate": """
        test_pipelined_requests_of_every_kind test_reading_asks_for_a_chunked_body test_who_and_where
        test_generator_is_streamed_as_it_yields""",
}.items()}
