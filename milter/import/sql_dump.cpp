#include "milter/import/sql_dump.h"

#include <algorithm>
#include <boost/locale/encoding_utf.hpp>

#include "policy/mail/text.h"

namespace replygate::import {

namespace {

struct Token {
  enum class Kind : std::uint8_t { end, word, name, text, sign };
  Kind kind = Kind::end;
  std::string text;
};

std::string lowered(std::string_view text) {
  std::string result;
  for (const char c : text) result += lower(c);
  return result;
}

bool is_word_sign(char c) { return is_alpha(c) || is_digit(c) || c == '_' || c == '.' || c == '-' || c == '+'; }

}  // namespace

// Reads statements one by one; what is neither CREATE TABLE, INSERT nor COPY is passed over.
class SqlReader {
 public:
  SqlReader(std::string_view text, SqlDump& dump) : rest_(text), dump_(dump) {}

  void read() {
    for (Token token = next(); token.kind != Token::Kind::end; token = next()) {
      const std::string word = lowered(token.text);
      if (word == "create") {
        create();
      } else if (word == "insert" || word == "replace") {
        insert();
      } else if (word == "copy") {
        copy();
      } else {
        skip(token);
      }
    }
  }

 private:
  Token next() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        rest_.remove_prefix(1);
      } else if (rest_.starts_with("--") || c == '#') {
        rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
      } else if (rest_.starts_with("/*")) {
        const std::size_t end = rest_.find("*/");
        rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 2);
      } else {
        return token(c);
      }
    }
    return {};
  }

  Token token(char c) {
    if (c == '\'') return quoted_token(Token::Kind::text, '\'');
    if (c == '"' || c == '`') return quoted_token(Token::Kind::name, c);
    if (!is_word_sign(c)) {
      rest_.remove_prefix(1);
      return {Token::Kind::sign, std::string(1, c)};
    }
    std::size_t end = 0;
    while (end < rest_.size() && is_word_sign(rest_[end])) ++end;
    Token word{Token::Kind::word, std::string(rest_.substr(0, end))};
    rest_.remove_prefix(end);
    return word;
  }

  // A doubled quote is one; a backslash is MySQL's.
  Token quoted_token(Token::Kind kind, char quote) {
    Token result{kind, ""};
    rest_.remove_prefix(1);
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == quote) {
        if (rest_.empty() || rest_.front() != quote) break;
        rest_.remove_prefix(1);
      } else if (c == '\\' && !rest_.empty()) {
        const char escaped = rest_.front();
        rest_.remove_prefix(1);
        result.text += escaped == 'n' ? '\n' : escaped;
        continue;
      }
      result.text += c;
    }
    return result;
  }

  static bool is_sign(const Token& token, char sign) {
    return token.kind == Token::Kind::sign && token.text.front() == sign;
  }

  void skip(Token token) {
    while (token.kind != Token::Kind::end && !is_sign(token, ';')) token = next();
  }

  // "public.name" is "name".
  Token table_name(Token token, std::string& name) {
    do {
      name = lowered(token.text);
      token = next();
      if (is_sign(token, '.')) token = next();
    } while (token.kind == Token::Kind::name);
    if (const std::size_t dot = name.rfind('.'); dot != std::string::npos) name.erase(0, dot + 1);
    return token;
  }

  std::vector<std::string> names_in_parentheses() {
    std::vector<std::string> names;
    for (Token token = next(); token.kind != Token::Kind::end && !is_sign(token, ')'); token = next()) {
      if (!is_sign(token, ',')) names.push_back(lowered(token.text));
    }
    return names;
  }

  void create() {
    Token token = next();
    if (lowered(token.text) != "table") return skip(token);
    token = next();
    for (const std::string_view word : {"if", "not", "exists"}) {
      if (token.kind == Token::Kind::word && lowered(token.text) == word) token = next();
    }
    std::string table;
    token = table_name(token, table);
    if (!is_sign(token, '(')) return skip(token);
    columns_of(table);
  }

  // The first word of each part is a column, but for keys and constraints.
  void columns_of(const std::string& table) {
    constexpr std::string_view kNoColumns[] = {"primary", "unique", "key",   "constraint",
                                               "foreign", "index",  "check", "fulltext"};
    std::vector<std::string> columns;
    int depth = 1;
    bool begins = true;
    for (Token token = next(); token.kind != Token::Kind::end; token = next()) {
      if (is_sign(token, '(')) ++depth;
      if (is_sign(token, ')') && --depth == 0) break;
      const std::string name = lowered(token.text);
      const bool word = token.kind == Token::Kind::word && std::ranges::find(kNoColumns, name) != std::end(kNoColumns);
      if (begins && !word) columns.push_back(name);
      begins = depth == 1 && is_sign(token, ',');
    }
    dump_.columns_[table] = std::move(columns);
    skip(next());
  }

  void insert() {
    Token token = next();
    while (token.kind == Token::Kind::word &&
           (lowered(token.text) == "into" || lowered(token.text) == "ignore" || lowered(token.text) == "or"))
      token = next();
    std::string table;
    token = table_name(token, table);
    std::vector<std::string> columns = dump_.columns_[table];
    if (is_sign(token, '(')) {
      columns = names_in_parentheses();
      token = next();
    }
    if (lowered(token.text) != "values") return skip(token);
    do {
      token = next();
      if (is_sign(token, '(')) dump_.rows_[table].push_back(row(columns));
      token = next();
    } while (is_sign(token, ','));
    skip(token);
  }

  SqlDump::Row row(const std::vector<std::string>& columns) {
    SqlDump::Row row;
    std::size_t column = 0;
    int depth = 1;
    for (Token token = next(); token.kind != Token::Kind::end; token = next()) {
      if (is_sign(token, '(')) ++depth;
      if (is_sign(token, ')') && --depth == 0) break;
      if (depth == 1 && is_sign(token, ',')) {
        ++column;
      } else if (column < columns.size() && token.kind != Token::Kind::sign) {
        if (token.kind == Token::Kind::text || lowered(token.text) != "null") row[columns[column]] = token.text;
      }
    }
    return row;
  }

  // COPY table (columns) FROM stdin; and lines with tabs up to "\.".
  void copy() {
    std::string table;
    Token token = table_name(next(), table);
    std::vector<std::string> columns = dump_.columns_[table];
    if (is_sign(token, '(')) columns = names_in_parentheses();
    skip(next());
    rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
    if (!rest_.empty()) rest_.remove_prefix(1);
    while (!rest_.empty()) {
      const std::size_t end = std::min(rest_.find('\n'), rest_.size());
      const std::string_view line = rest_.substr(0, end);
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      if (line.starts_with("\\.")) return;
      SqlDump::Row row;
      std::size_t column = 0;
      for (const std::string_view value : split(line, '\t')) {
        if (column < columns.size() && value != "\\N") row[columns[column]] = value;
        ++column;
      }
      dump_.rows_[table].push_back(std::move(row));
    }
  }

  std::string_view rest_;
  SqlDump& dump_;
};

SqlDump::SqlDump(std::string_view text) { SqlReader(text, *this).read(); }

const std::vector<SqlDump::Row>& SqlDump::rows(std::string_view table) const {
  static const std::vector<Row> none;
  const auto it = rows_.find(table);
  return it == rows_.end() ? none : it->second;
}

std::string cleaned_dump(std::string_view text) {
  std::string result = boost::locale::conv::utf_to_utf<char>(text.data(), text.data() + text.size());
  std::ranges::replace_if(result, [](char c) { return is_control(c) && c != '\n' && c != '\t'; }, ' ');
  return result;
}

std::string field(const SqlDump::Row& row, std::string_view column) {
  const auto it = row.find(column);
  return it == row.end() ? "" : it->second;
}

}  // namespace replygate::import
