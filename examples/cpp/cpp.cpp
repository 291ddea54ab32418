// The same ABI from C++: the border catches every exception and makes it an error, which the server answers with a 500.
// GET /?name=you greets; GET /?throw=1 throws.
//
//     casgi cpp.cpp --reload
//     c++ -std=c++17 -shared -fPIC $(pkg-config --cflags casgi) cpp.cpp -o cpp.so && casgi cpp.so
#include <casgi/casgi.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace
{

std::string_view view(casgi_str_t text)
{
    return text.ptr ? std::string_view(text.ptr, text.len) : std::string_view();
}

// The value of a key in a query string, not decoded; empty if it is not there.
std::string_view query_value(std::string_view query, std::string_view key)
{
    while (!query.empty()) {
        std::string_view pair = query.substr(0, query.find('&'));
        if (pair.size() > key.size() && pair.substr(0, key.size()) == key && pair[key.size()] == '=') {
            return pair.substr(key.size() + 1);
        }
        query.remove_prefix(pair.size() < query.size() ? pair.size() + 1 : query.size());
    }
    return {};
}

// What is on the stack is destroyed as always, also while an exception passes and when the client leaves.
std::string greeting(std::string_view query)
{
    if (!query_value(query, "throw").empty()) {
        throw std::runtime_error("asked to");
    }
    std::string_view name = query_value(query, "name");
    return "Hello, " + std::string(name.empty() ? "C++" : name) + "!\n";
}

int handle(casgi_app_t *, const casgi_scope_t *scope, casgi_receive_t *, casgi_send_t *send)
{
    std::string text = greeting(view(scope->query_string));
    return casgi_respond_bytes(send, 200, "text/plain", text.data(), text.size());
}

} // namespace

CASGI_APP(handle)
