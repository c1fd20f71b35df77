#pragma once

#include <string>

#include "tests/fault/report.h"

namespace replygate::test {

struct GoalOptions {
  std::string binary;  // of replygate
  bool full = false;   // the whole test, else a short form
  bool small = false;  // figures of time and memory are not judged, as under a sanitizer; less is played
};

// Each plays one test of the reliability goals and reports its figures.
void restarts(const GoalOptions& options, Report& report);            // G5
void reloads(const GoalOptions& options, Report& report);             // G6
void no_descriptors(const GoalOptions& options, Report& report);      // G17
void few_tasks(const GoalOptions& options, Report& report);           // G18
void slow_peers(const GoalOptions& options, Report& report);          // G19
void mutated_packets(const GoalOptions& options, Report& report);     // G20
void idle_peers(const GoalOptions& options, Report& report);          // G21
void hostile_values(const GoalOptions& options, Report& report);      // G24, G25: replies and logs
void http_attacks(const GoalOptions& options, Report& report);        // G25
void control_attacks(const GoalOptions& options, Report& report);     // G26
void soak(const GoalOptions& options, Report& report);                // G29
void order_attacks(const GoalOptions& options, Report& report);       // G32
void killed_commit(const GoalOptions& options, Report& report);       // G1
void killed_window(const GoalOptions& options, Report& report);       // G2
void standing_server(const GoalOptions& options, Report& report);     // G7
void failing_server(const GoalOptions& options, Report& report);      // G8
void exact_counting(const GoalOptions& options, Report& report);      // G9
void exact_nodes(const GoalOptions& options, Report& report);         // G10
void counting_alone(const GoalOptions& options, Report& report);      // G11
void fail_over(const GoalOptions& options, Report& report);           // G12
void partitions(const GoalOptions& options, Report& report);          // G12
void partial_partitions(const GoalOptions& options, Report& report);  // G8
void order_of_answers(const GoalOptions& options, Report& report);    // G14
void exact_model(const GoalOptions& options, Report& report);         // G13
void wrong_clocks(const GoalOptions& options, Report& report);        // G15
void flood_of_keys(const GoalOptions& options, Report& report);       // G16
void unwritable_file(const GoalOptions& options, Report& report);     // G22
void damaged_file(const GoalOptions& options, Report& report);        // G23
void long_history(const GoalOptions& options, Report& report);        // `why` among many decisions
void two_writes(const GoalOptions& options, Report& report);          // delayed acknowledgements over TCP

}  // namespace replygate::test
