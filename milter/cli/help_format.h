#pragma once

#include <CLI/CLI.hpp>
#include <memory>

namespace replygate {

// Has help fit the terminal: descriptions are wrapped in their column.
std::shared_ptr<CLI::Formatter> help_format();

}  // namespace replygate
