#include "tools/decant/page.h"

namespace decant::cli {
namespace {

const std::string kDataPlace = "/*DATA*/";
const std::string kBeforeData = "id=\"data\">", kAfterData = "</script>";

std::string base64(std::span<const uint8_t> bytes) {
    constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const size_t count = std::min<size_t>(3, bytes.size() - i);
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; ++k) bits = bits << 8 | (k < count ? bytes[i + k] : 0u);
        for (size_t k = 0; k < 4; ++k) text += k <= count ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
    }
    return text;
}

}  // namespace

std::string html_page(const char* page, const Json& data, int refresh) {
    std::string text = data.dump(-1, ' ', false, Json::error_handler_t::replace);
    // Inside of a script element nothing may look like its end.
    for (size_t at = 0; (at = text.find('<', at)) != text.npos;) text.replace(at, 1, "\\u003c");
    std::string result = page;
    result.replace(result.find(kDataPlace), kDataPlace.size(), text);
    if (refresh > 0) result.insert(result.find("<link "), "<meta http-equiv=\"refresh\" content=\"" + std::to_string(refresh) + "\">\n");
    return result;
}

Json data_of_page(const std::string& text) {
    const size_t begin = text.find(kBeforeData);
    if (begin == text.npos) return nullptr;
    const size_t from = begin + kBeforeData.size(), to = text.find(kAfterData, from);
    if (to == text.npos) return nullptr;
    const Json data = Json::parse(text.begin() + static_cast<std::ptrdiff_t>(from), text.begin() + static_cast<std::ptrdiff_t>(to), nullptr, false);
    return data.is_discarded() ? Json() : data;
}

std::string data_uri(const std::string& media_type, std::span<const uint8_t> bytes) { return "data:" + media_type + ";base64," + base64(bytes); }

}  // namespace decant::cli
