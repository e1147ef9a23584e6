#include "tools/decant/inputs.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string_view>
#include <system_error>

#include "codec/image/format.h"
#include "codec/io/file.h"
#include "tools/decant/console.h"
#include "tools/decant/failure.h"
#include "tools/decant/text.h"

namespace decant::cli {
namespace {

namespace fs = std::filesystem;

// It cannot be read, which is to be said.
bool is_broken_link(const fs::directory_entry& entry) {
    std::error_code unknown;
    return entry.is_symlink(unknown) && !entry.exists(unknown);
}

void list_folder(const fs::path& folder, const fs::path& relative, bool recursive, Accept accept, std::vector<Input>& inputs) {
    std::error_code error;
    std::vector<fs::directory_entry> entries;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) entries.push_back(*it);
    if (error) {
        inputs.push_back({folder.string(), relative.string(),
                          Error(ErrorCode::io, folder.string() + ": the folder cannot be listed: " + error.message())});
        return;
    }
    std::sort(entries.begin(), entries.end());
    for (const fs::directory_entry& entry : entries) {
        const fs::path name = entry.path().filename();
        if (name.string().front() == '.') continue;
        std::error_code unknown;
        if (entry.is_directory(unknown)) {
            // A link to a folder could lead back here.
            if (recursive && !entry.is_symlink(unknown)) list_folder(entry.path(), relative / name, recursive, accept, inputs);
        } else if (accept(name.string()) && (entry.is_regular_file(unknown) || is_broken_link(entry))) {
            inputs.push_back({entry.path().string(), (relative / name).string(), {}});
        }
    }
}

// A name may hold line ends, but never a 0: where there is one, the list is that of find -print0.
std::vector<std::string> read_list(const std::string& path) {
    const std::vector<uint8_t> bytes = read_file(path);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const char separator = text.find('\0') == text.npos ? '\n' : '\0';
    std::vector<std::string> lines = split(text, separator);
    for (std::string& line : lines)
        if (separator == '\n' && line.ends_with('\r')) line.pop_back();
    std::erase(lines, "");
    return lines;
}

// The same for two names of the same file, whether it exists or not.
std::string identity_of(const std::string& path) {
    std::error_code error;
    const fs::path canonical = fs::weakly_canonical(fs::absolute(path, error), error);
    return error ? path : canonical.string();
}

}  // namespace

bool is_picture_name(const std::string& path) { return format_from_extension(path).has_value(); }

bool is_dcn_name(const std::string& path) { return fs::path(path).extension() == ".dcn"; }

std::vector<Input> collect_inputs(const Settings& settings, Accept accept) {
    std::vector<std::string> paths = settings.inputs;
    if (!settings.files_from.empty()) {
        const std::vector<std::string> listed = read_list(settings.files_from);
        paths.insert(paths.end(), listed.begin(), listed.end());
    }
    const auto from_stdin = std::count(paths.begin(), paths.end(), "-") + (settings.files_from == "-");
    if (from_stdin > 1) throw Error(ErrorCode::invalid_argument, "standard input can be used once only");
    std::vector<Input> inputs;
    for (const std::string& path : paths) {
        std::error_code unknown;
        if (path != "-" && fs::is_directory(path, unknown))
            list_folder(path, "", settings.recursive, accept, inputs);
        else
            inputs.push_back({path, fs::path(path).filename().string(), {}});
    }
    return inputs;
}

void complain_of_no_input(const Settings& settings) {
    std::string where;
    for (const std::string& input : settings.inputs) where += (where.empty() ? "" : ", ") + input;
    if (where.empty()) where = settings.files_from;
    complain(where + ": no file to work on" + (settings.recursive ? "" : "; -r looks into the folders below, too"));
}

std::string output_path(const Input& input, const Settings& settings, const std::string& extension) {
    const fs::path path =
        settings.output_dir.empty() ? fs::path(input.path) : fs::path(settings.output_dir) / fs::path(input.relative);
    return fs::path(path).replace_extension(extension).string();
}

std::vector<Job> plan_jobs(const std::vector<Input>& inputs, const Settings& settings, const std::string& extension) {
    if (!settings.output.empty() && inputs.size() > 1)
        throw Error(ErrorCode::invalid_argument, "--output " + settings.output + ": is one file, but " +
                                                     std::to_string(inputs.size()) + " inputs are given; use --output-dir");
    std::set<std::string> sources;
    for (const Input& input : inputs)
        if (input.path != "-") sources.insert(identity_of(input.path));

    std::vector<Job> jobs;
    std::map<std::string, std::string> writers;  // of each output the input
    for (const Input& input : inputs) {
        Job job{input.path, settings.output, input.problem};
        if (job.output.empty() && input.path == "-") {
            if (!settings.output_dir.empty() || settings.json)
                throw Error(ErrorCode::invalid_argument, "standard input has no name; name the result with --output");
            job.output = "-";
        }
        if (job.output.empty() && !job.problem) job.output = output_path(input, settings, extension);
        if (!job.problem && job.output != "-") {
            const std::string target = identity_of(job.output);
            if (sources.contains(target))
                job.problem = Error(ErrorCode::exists, input_name(job.input) + ": its output " + job.output +
                                                           " is an input; write elsewhere with --output or --output-dir");
            else if (const auto [other, is_new] = writers.emplace(target, job.input); !is_new) {
                if (identity_of(other->second) == identity_of(job.input)) continue;  // the same file, named twice
                job.problem = Error(ErrorCode::exists, job.input + ": its output " + job.output + " is also that of " +
                                                           other->second + "; write one of them elsewhere");
            }
        }
        jobs.push_back(std::move(job));
    }
    return jobs;
}

}  // namespace decant::cli
