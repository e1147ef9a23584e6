#include "codec/image/shared_module.h"

#include <dlfcn.h>
#include <unistd.h>

#include "codec/error.h"

namespace decant {

void SharedModule::Closer::operator()(void* library) const { dlclose(library); }

SharedModule::SharedModule(const ModuleText& text, std::span<const std::string> folders) : text_(text) {
    std::string searched;
    for (const std::string& folder : folders) {
        const std::string path = folder + "/" + text.file;
        searched += (searched.empty() ? "" : " or ") + folder;
        if (access(path.c_str(), F_OK) != 0) continue;
        // Local, so that OpenCV's many libraries do not mix with the program's; never unloaded, because OpenCV leaves
        // thread-local state and exit handlers behind.
        library_.reset(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE));
        if (!library_)
            throw Error(ErrorCode::unsupported, std::string(text.purpose) + " " + text.library + ", which does not load: " +
                                                    std::string(dlerror()) + "; install it");
        return;
    }
    throw Error(ErrorCode::unsupported, std::string(text.purpose) + " " + text.file + ", which is not in " + searched +
                                            "; install it there" + text.alternative);
}

void* SharedModule::symbol(const char* name) const {
    void* const found = dlsym(library_.get(), name);
    if (found == nullptr)
        throw Error(ErrorCode::unsupported,
                    std::string(text_.file) + " has no function " + name + "; install it again, of the same version as decant");
    return found;
}

}  // namespace decant
