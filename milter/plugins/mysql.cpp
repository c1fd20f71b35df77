#include <mysql.h>
#include <sys/socket.h>

#include <memory>

#include "milter/plugins/hosts.h"

namespace replygate {
namespace {

struct CloseMysql {
  void operator()(MYSQL* connection) const { mysql_close(connection); }
};
using Mysql = std::unique_ptr<MYSQL, CloseMysql>;

unsigned seconds_of(std::chrono::milliseconds time) { return static_cast<unsigned>((time.count() + 999) / 1000); }

// What mysql_table(5) calls tls_…, and how the library calls it.
constexpr std::pair<const char*, mysql_option> kTlsOptions[] = {{"tls_cert_file", MYSQL_OPT_SSL_CERT},
                                                                {"tls_key_file", MYSQL_OPT_SSL_KEY},
                                                                {"tls_CAfile", MYSQL_OPT_SSL_CA},
                                                                {"tls_CApath", MYSQL_OPT_SSL_CAPATH}};

void set_options(MYSQL* connection, const TableParameters& parameters, const TableBounds& bounds) {
  const unsigned seconds = seconds_of(bounds.timeout);
  for (const auto option : {MYSQL_OPT_CONNECT_TIMEOUT, MYSQL_OPT_READ_TIMEOUT, MYSQL_OPT_WRITE_TIMEOUT}) {
    mysql_optionsv(connection, option, &seconds);
  }
  const std::string file = parameter_value(parameters, "option_file");
  if (!file.empty()) mysql_optionsv(connection, MYSQL_READ_DEFAULT_FILE, file.c_str());
  const std::string group = parameter_value(parameters, "option_group", file.empty() ? "" : "client");
  if (!group.empty()) mysql_optionsv(connection, MYSQL_READ_DEFAULT_GROUP, group.c_str());
  mysql_optionsv(connection, MYSQL_SET_CHARSET_NAME, parameter_value(parameters, "charset", "utf8mb4").c_str());
  for (const auto& [name, option] : kTlsOptions) {
    const std::string value = parameter_value(parameters, name);
    if (!value.empty()) mysql_optionsv(connection, option, value.c_str());
  }
  const my_bool verify = parameter_value(parameters, "tls_verify_cert") == "yes" ? 1 : 0;
  mysql_optionsv(connection, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
}

class MysqlConnection final : public TableConnection {
 public:
  explicit MysqlConnection(Mysql connection) : connection_(std::move(connection)) {}

  std::string quoted(std::string_view text) override {
    std::string result(2 * text.size() + 1, '\0');
    result.resize(mysql_real_escape_string(connection_.get(), result.data(), text.data(), text.size()));
    return result;
  }

  Asked ask(const std::string& query, const std::string&, TableValues& values, std::string& why) override {
    if (mysql_real_query(connection_.get(), query.data(), query.size()) != 0) return failed(why);
    MYSQL_RES* result = mysql_use_result(connection_.get());
    if (result == nullptr && mysql_errno(connection_.get()) != 0) return failed(why);
    if (result == nullptr) {
      why = "the query finds no rows, whatever they are";
      return Asked::refused;
    }
    const bool all = read_rows(result, values);
    // What is left is not waited for: freeing the result would read it all.
    if (!all) ::shutdown(static_cast<int>(mysql_get_socket(connection_.get())), SHUT_RDWR);
    const bool well = !all || mysql_errno(connection_.get()) == 0;
    const Asked outcome = well ? Asked::well : failed(why);
    mysql_free_result(result);
    return outcome;
  }

 private:
  static bool read_rows(MYSQL_RES* result, TableValues& values) {
    const unsigned columns = mysql_num_fields(result);
    while (char** row = mysql_fetch_row(result)) {
      const unsigned long* lengths = mysql_fetch_lengths(result);
      for (unsigned i = 0; i < columns; ++i) {
        if (row[i] != nullptr && !values.add({row[i], lengths[i]})) return false;
      }
    }
    return true;
  }

  // Below 2000 are errors of the server, which has answered.
  Asked failed(std::string& why) const {
    constexpr unsigned kFirstOfClient = 2000;
    constexpr unsigned kShutdown = 1053;
    constexpr unsigned kKilled = 1927;
    why = mysql_error(connection_.get());
    const unsigned error = mysql_errno(connection_.get());
    return error < kFirstOfClient && error != kShutdown && error != kKilled ? Asked::refused : Asked::gone;
  }

  Mysql connection_;
};

Mysql connected(const TableHost& host, const TableParameters& parameters, const TableBounds& bounds, std::string& why) {
  Mysql connection(mysql_init(nullptr));
  if (connection == nullptr) {
    why = "want of memory";
    return nullptr;
  }
  set_options(connection.get(), parameters, bounds);
  const auto value = [&](const char* name) { return parameter_value(parameters, name); };
  const unsigned port = host.port.empty() ? 0 : static_cast<unsigned>(std::strtoul(host.port.c_str(), nullptr, 10));
  const bool well = mysql_real_connect(connection.get(), host.host.empty() ? nullptr : host.host.c_str(),
                                       value("user").c_str(), value("password").c_str(), value("dbname").c_str(), port,
                                       host.socket.empty() ? nullptr : host.socket.c_str(), 0) != nullptr;
  if (!well) why = mysql_error(connection.get());
  return well ? std::move(connection) : nullptr;
}

}  // namespace
}  // namespace replygate

extern "C" replygate::TableConnection* replygate_table(const replygate::TableParameters& parameters,
                                                       const replygate::TableBounds& bounds, std::string& why) {
  auto connection =
      replygate::first_connection(parameters, why, [&](const replygate::TableHost& host, std::string& said) {
        return replygate::connected(host, parameters, bounds, said);
      });
  return connection ? new replygate::MysqlConnection(std::move(connection)) : nullptr;
}
