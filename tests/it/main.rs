//! The workspace's own tests: the shape of the house, and the whole product through real clients.

/// One test for each scenario of a Python module of the same name.
macro_rules! scenarios {
    ($module:ident: $($function:ident),+ $(,)?) => {
        mod $module {
            $(#[test]
            fn $function() {
                graft_tests::scenario(stringify!($module), stringify!($function));
            })+

            #[test]
            fn every_scenario_has_its_test() {
                crate::listed::check(stringify!($module), &[$(stringify!($function)),+]);
            }
        }
    };
}

mod arrows;
mod documents;
mod house;
mod listed;

scenarios! {
    rust_cells:
    five_across_cells,
    habits_of_evcxr_keep_working,
    the_prelude_needs_no_use,
    a_crate_added_after_tensors_exist,
    clear_keeps_the_session,
    a_panic_in_a_cell_is_told,
}

scenarios! {
    main_job:
    what_is_forgotten_is_measured_while_methods_train,
    from_model_to_saved_adapter,
    attaching_changes_nothing_and_detaching_gives_the_base_back,
    the_same_seed_gives_the_same_losses,
    blocks_that_are_computed_twice_train_alike_and_keep_less,
    a_training_says_what_it_did_and_whether_that_was_anything,
    the_plot_lives_and_then_stands_still,
    prompt_tuning_in_one_line,
    a_grid_is_compared_and_a_second_look_costs_nothing,
    magics_answer_without_rust,
}

scenarios! {
    starts:
    eva_reads_the_data_and_shares_the_rank_out,
    loftq_makes_up_for_packing,
}

scenarios! {
    runs:
    runs_are_listed_compared_drawn_written_and_trained_again,
    a_run_that_began_by_looking_at_its_data_is_trained_again_from_its_script,
    weights_are_drawn_and_tokens_shaded,
}

scenarios! {
    encoder:
    minilm_embeds_as_transformers_does_and_learns_which_book,
}

scenarios! {
    bridge:
    a_table_and_a_rust_cell_give_the_same_number,
    a_scale_set_in_rust_changes_what_a_magic_generates,
    what_rust_attaches_a_magic_lists,
    printed_rust_runs,
    a_training_in_rust_draws_the_same_plot,
}

scenarios! {
    life:
    the_stop_button_keeps_everything,
    an_endless_rust_loop_is_ended,
    one_press_is_enough_after_the_grace,
    a_killed_child_is_replaced_and_its_run_resumed,
    a_killed_child_leaves_rust_cells_working,
    two_kernels_do_not_disturb_each_other,
    nothing_is_left_behind,
    a_killed_host_takes_its_child_along,
    a_stale_template_is_noticed_and_rebuilt,
    memory_is_modest,
    inline_data_survives_an_interrupt,
}

scenarios! {
    bad_input:
    words_that_are_wrong,
    numbers_that_do_not_fit,
    modules_that_are_not_there,
    steps_out_of_order,
    files_that_are_missing,
    weights_that_are_damaged,
    a_tokenizer_of_another_model,
    data_that_is_empty_or_broken,
    an_example_that_is_too_long,
    a_loss_that_is_not_a_number,
    a_full_disk_while_comparing,
    a_full_disk_while_saving,
    an_error_stops_the_queue_but_not_the_kernel,
}

scenarios! {
    protocol:
    conformance,
    a_wrong_signature_is_dropped,
    garbage_on_the_socket_is_survived,
    a_damaged_connection_file_is_named,
    cursors_count_code_points,
    completion_knows_keys_values_and_modules,
    magics_are_explained,
    questions_are_answered_while_training,
    numbering_follows_the_specification,
    a_shutdown_is_answered,
}

scenarios! {
    requests:
    every_request_is_between_busy_and_idle,
    silent_cells_leave_no_trace,
    expressions_come_with_the_reply,
    comms_that_nobody_knows_are_closed,
    history_outlives_the_kernel,
    a_cell_is_complete_incomplete_invalid_or_unknown,
    help_goes_to_the_pager_and_files_into_the_cell,
    a_cell_can_ask_the_user,
    displays_change_and_output_is_cleared,
    streams_come_as_they_are_written,
}

scenarios! {
    wire:
    the_signature_covers_exactly_four_frames,
    a_replayed_message_does_no_harm,
    the_heartbeat_echoes,
    a_restart_gives_a_new_session,
    sockets_can_be_files,
    starting_is_told_once_and_parents_are_kept,
    a_client_that_stops_reading_stalls_nobody,
}

scenarios! {
    clients:
    papermill_runs_a_notebook,
    nbconvert_runs_and_draws_a_page,
    a_console_runs_cells_and_completes,
    a_second_client_sees_what_the_first_runs,
    the_terminal_runs_what_a_notebook_runs,
}

scenarios! {
    robust:
    a_hundred_megabytes_of_output_pass,
    a_shell_line_without_end_is_stopped,
    an_error_message_is_shown_once,
    errors_count_lines_from_the_top_of_the_cell,
    large_cells_and_odd_text_pass,
    a_kernel_told_to_end_leaves_nothing,
    many_cells_hold_no_memory,
    starts_and_stops_leave_nothing,
}

scenarios! {
    crates:
    crates_that_everybody_uses,
    a_crate_in_a_folder,
    commands_of_evcxr,
    items_of_all_kinds_and_async,
    displays_of_evcxr,
    tensors_show_themselves,
}

scenarios! {
    surroundings:
    a_port_that_is_taken_is_named,
    a_home_that_cannot_be_written,
    no_compiler_on_the_path,
    sources_that_are_nowhere,
    a_full_disk_at_the_start,
    a_full_disk_while_installing,
    a_client_that_vanishes_in_the_middle_of_a_cell,
    a_request_before_any_subscriber,
}

scenarios! {
    background:
    a_training_in_the_background_leaves_the_notebook_free,
    a_kernel_told_to_end_keeps_what_trains_in_the_background,
    a_comparison_in_the_background_is_watched_and_changed,
}

scenarios! {
    gguf:
    a_gguf_model_is_adapted_saved_and_read_back,
}

scenarios! {
    terminal:
    a_file_runs_as_a_notebook_does,
    a_file_can_train,
    a_failing_file_ends_with_another_code,
    install_and_uninstall_leave_nothing,
    the_installed_spec_says_what_it_is,
    clean_removes_what_use_left,
    the_doctor_names_what_it_finds,
    the_doctor_names_what_a_card_lacks,
    a_wrong_command_line_is_refused,
}

scenarios! {
    notebooks:
    first_adapter,
    magics_and_rust,
    rust_kernel_tour,
    why_peft,
    lora_from_scratch,
    rank_ablation,
    additive_methods,
    prompt_tuning,
    selective,
    choosing_a_method,
    bring_your_model,
    qlora,
    saved_notebooks_are_valid_and_carry_outputs,
    nbconvert_keeps_the_figures,
}

scenarios! {
    browser:
    first_adapter,
}

scenarios! {
    jupyterlab:
    a_saved_notebook_opens_with_its_figure,
    a_closed_lid_loses_nothing,
    a_comparison_is_watched_while_it_forms,
    the_buttons_stop_and_restart,
    tab_completes_and_shift_tab_explains,
    notebook_7_runs_cells,
}
