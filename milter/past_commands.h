#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace replygate {

// What the words of a command line ask for.
using Action = std::function<int()>;

// The commands about past mail.
void add_past_commands(CLI::App& app, Action& action);

}  // namespace replygate
