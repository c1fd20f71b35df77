#include <libpq-fe.h>
#include <poll.h>

#include <memory>

#include "milter/plugins/hosts.h"

namespace replygate {
namespace {

using Clock = std::chrono::steady_clock;

struct FinishPgsql {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Pgsql = std::unique_ptr<PGconn, FinishPgsql>;

struct ClearPgsql {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgsqlResult = std::unique_ptr<PGresult, ClearPgsql>;

// Until the socket is ready; false where the time is over.
bool wait_for(PGconn* connection, short events, Clock::time_point deadline) {
  pollfd wanted{.fd = PQsocket(connection), .events = events, .revents = 0};
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return wanted.fd >= 0 && left > 0 && ::poll(&wanted, 1, static_cast<int>(left)) > 0;
}

// The first line of what libpq says.
std::string said_by(const PGconn* connection) {
  const std::string text = PQerrorMessage(connection);
  return text.substr(0, text.find('\n'));
}

class PgsqlConnection final : public TableConnection {
 public:
  PgsqlConnection(Pgsql connection, std::chrono::milliseconds timeout)
      : connection_(std::move(connection)), timeout_(timeout) {}

  // What is no text in the encoding of the database is refused by the server.
  std::string quoted(std::string_view text) override {
    std::string result(2 * text.size() + 1, '\0');
    result.resize(PQescapeStringConn(connection_.get(), result.data(), text.data(), text.size(), nullptr));
    return result;
  }

  Asked ask(const std::string& query, const std::string&, TableValues& values, std::string& why) override {
    const auto deadline = Clock::now() + timeout_;
    if (PQsendQuery(connection_.get(), query.c_str()) == 0 || PQsetSingleRowMode(connection_.get()) == 0) {
      return gone(why);
    }
    Asked outcome = Asked::well;
    for (;;) {
      if (!arrived(deadline, why)) return Asked::gone;
      const PgsqlResult result(PQgetResult(connection_.get()));
      if (result == nullptr) return outcome;
      if (!take(result.get(), values)) return Asked::well;
      const ExecStatusType status = PQresultStatus(result.get());
      if (status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK) continue;
      why = said_by(connection_.get());
      if (why.empty()) why = "the query finds no rows, whatever they are";
      outcome = PQstatus(connection_.get()) == CONNECTION_OK ? Asked::refused : Asked::gone;
      if (outcome == Asked::gone) return outcome;
    }
  }

 private:
  Asked gone(std::string& why) const {
    why = said_by(connection_.get());
    return Asked::gone;
  }

  bool arrived(Clock::time_point deadline, std::string& why) const {
    while (PQisBusy(connection_.get()) != 0) {
      if (!wait_for(connection_.get(), POLLIN, deadline)) {
        why = "no answer in time";
        return false;
      }
      if (PQconsumeInput(connection_.get()) == 0) {
        why = said_by(connection_.get());
        return false;
      }
    }
    return true;
  }

  static bool take(const PGresult* result, TableValues& values) {
    for (int row = 0; row < PQntuples(result); ++row) {
      for (int column = 0; column < PQnfields(result); ++column) {
        if (PQgetisnull(result, row, column) != 0) continue;
        const auto size = static_cast<std::size_t>(PQgetlength(result, row, column));
        if (!values.add({PQgetvalue(result, row, column), size})) return false;
      }
    }
    return true;
  }

  Pgsql connection_;
  const std::chrono::milliseconds timeout_;
};

Pgsql begun(const TableHost& host, const TableParameters& parameters) {
  std::map<std::string, std::string> options = {{"user", parameter_value(parameters, "user")},
                                                {"password", parameter_value(parameters, "password")},
                                                {"dbname", parameter_value(parameters, "dbname")},
                                                {"client_encoding", parameter_value(parameters, "encoding", "UTF8")}};
  if (!host.uri.empty()) options["dbname"] = host.uri;
  options["host"] = host.socket.empty() ? host.host : host.socket;
  options["port"] = host.port;
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : options) {
    if (value.empty()) continue;
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  return Pgsql(PQconnectStartParams(names.data(), values.data(), 1));
}

Pgsql connected(const TableHost& host, const TableParameters& parameters, const TableBounds& bounds, std::string& why) {
  const auto deadline = Clock::now() + bounds.timeout;
  Pgsql connection = begun(host, parameters);
  if (connection == nullptr) {
    why = "want of memory";
    return nullptr;
  }
  auto state = PQstatus(connection.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING) {
    const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait_for(connection.get(), events, deadline)) {
      why = "no connection in time";
      return nullptr;
    }
    state = PQconnectPoll(connection.get());
  }
  if (state == PGRES_POLLING_OK) return connection;
  why = said_by(connection.get());
  return nullptr;
}

}  // namespace
}  // namespace replygate

extern "C" replygate::TableConnection* replygate_table(const replygate::TableParameters& parameters,
                                                       const replygate::TableBounds& bounds, std::string& why) {
  auto connection =
      replygate::first_connection(parameters, why, [&](const replygate::TableHost& host, std::string& said) {
        return replygate::connected(host, parameters, bounds, said);
      });
  return connection ? new replygate::PgsqlConnection(std::move(connection), bounds.timeout) : nullptr;
}
