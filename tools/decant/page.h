// The pages that reports are written as: one file each, which needs no network.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tools/decant/json.h"

namespace decant::cli {

// Templates, which the build puts into the program with page.css and page.js in them.
extern const char* const kReportPage;  // report.html: rate, quality, speed, pictures before and after
extern const char* const kChartsPage;  // charts.html: charts, tables and pictures as its data lists them

// The page with this data in it. refresh: seconds after which a browser loads it again; 0: never.
std::string html_page(const char* page, const Json& data, int refresh = 0);
// The data of a page that html_page wrote; null of another text.
Json data_of_page(const std::string& text);

std::string data_uri(const std::string& media_type, std::span<const uint8_t> bytes);  // "image/png"

}  // namespace decant::cli
