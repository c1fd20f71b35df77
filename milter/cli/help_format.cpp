#include "milter/cli/help_format.h"

#include "milter/cli/table.h"

namespace replygate {
namespace {

// CLI11 puts descriptions into a column, each of their lines.
class FittedHelp final : public CLI::Formatter {
 public:
  std::string make_option_desc(const CLI::Option* option) const override {
    return column(CLI::Formatter::make_option_desc(option));
  }
  std::string make_subcommand(const CLI::App* command) const override {
    std::stringstream text;
    CLI::detail::format_help(text, command->get_display_name(true), column(command->get_description()), column_width_);
    return text.str();
  }

 private:
  std::string column(const std::string& text) const {
    const std::size_t width = terminal_width();
    return wrapped(text, 0, width > column_width_ ? width - column_width_ : 0);
  }
};

}  // namespace

std::shared_ptr<CLI::Formatter> help_format() { return std::make_shared<FittedHelp>(); }

}  // namespace replygate
