#include "codec/io/installation.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "codec/error.h"

namespace decant {
namespace {

namespace fs = std::filesystem;

struct Installation {
    fs::path folder;  // of the program or library that this code is in
    fs::path prefix;  // bin, lib and share are in there, if it is installed
};

// Throws Error(unsupported).
Installation find_installation() {
    std::error_code failure;
    Dl_info info;
    link_map* object = nullptr;
    const auto here = reinterpret_cast<void*>(&find_installation);
    const bool is_library = dladdr1(here, &info, reinterpret_cast<void**>(&object), RTLD_DL_LINKMAP) != 0 && *object->l_name != 0;
    const fs::path file = is_library ? fs::canonical(object->l_name, failure) : fs::read_symlink("/proc/self/exe", failure);
    if (failure)
        throw Error(ErrorCode::unsupported, "the folder of " + (is_library ? std::string(object->l_name) : "the program (/proc/self/exe)") +
                                                " is not known: " + failure.message() + ", so models and modules beside it cannot be found");
    const fs::path folder = file.parent_path();
    return {folder, (folder / (is_library ? DECANT_LIBRARY_TO_PREFIX : DECANT_PROGRAM_TO_PREFIX)).lexically_normal()};
}

}  // namespace

std::vector<std::string> module_folders() {
    const Installation here = find_installation();
    return {here.folder.string(), (here.prefix / DECANT_PREFIX_TO_MODULES).string()};
}

std::vector<std::string> model_folders() {
    std::vector<std::string> folders;
    if (const char* folder = std::getenv("DECANT_MODELS"); folder != nullptr && *folder != 0) folders.emplace_back(folder);
    try {
        const Installation here = find_installation();
        folders.push_back((here.folder / "models").string());
        folders.push_back((here.prefix / DECANT_PREFIX_TO_MODELS).string());
    } catch (const Error&) {  // what is left is what the variable says
    }
    return folders;
}

}  // namespace decant
