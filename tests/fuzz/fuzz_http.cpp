// Whatever comes over HTTP, within its bounds, is an error or a request with an answer that the parser of a client
// takes.

#include <boost/beast/core.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>

#include "milter/serve/http_server.h"
#include "tests/fuzz/fuzz_desk.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace replygate;
  namespace http = boost::beast::http;
  static test::FuzzDesk office;
  http::request_parser<http::string_body> parser;
  parser.header_limit(kMostHttpHeader);
  parser.body_limit(kMostHttpBody);
  parser.eager(true);
  boost::system::error_code error;
  parser.put(boost::asio::buffer(data, size), error);
  if (error || !parser.is_done()) return 0;
  const HttpResponse response = answer_http(parser.get(), *office.desk, size % 2 == 0);
  std::ostringstream out;
  out << response;
  const std::string text = out.str();
  const unsigned status = response.result_int();
  if (status != 200 && status != 403 && status != 404 && status != 405 && status != 421) std::abort();
  if (text.find("\r\n\r\n") == std::string::npos) std::abort();
  return 0;
}
