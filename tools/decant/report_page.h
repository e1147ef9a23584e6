// report.html, which the build puts into the program.
#pragma once

namespace decant::cli {

const char* report_page();

}  // namespace decant::cli
