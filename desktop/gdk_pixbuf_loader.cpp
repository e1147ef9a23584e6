// A loader of gdk-pixbuf, through which viewers and file managers of GNOME, Xfce, MATE and others show .dcn files.
//
// gdk-pixbuf hands over a file in parts. They are collected, since a file's checksums are verified before anything of it is shown, and
// decoded when the last one is there. Gray becomes RGB and 16 bits become 8, for it knows nothing else.
#define GDK_PIXBUF_ENABLE_BACKEND
#include <decant/decant.h>
#include <gdk-pixbuf/gdk-pixbuf.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace {

struct PixbufDeleter {
    void operator()(GdkPixbuf* pixbuf) const { g_object_unref(pixbuf); }
};
using PixbufPtr = std::unique_ptr<GdkPixbuf, PixbufDeleter>;

struct Load {
    GdkPixbufModuleSizeFunc size_func;
    GdkPixbufModulePreparedFunc prepared_func;
    GdkPixbufModuleUpdatedFunc updated_func;
    gpointer user_data;
    std::vector<std::uint8_t> bytes;
};

GdkPixbufError error_code(decant::ErrorCode code) {
    switch (code) {
        case decant::ErrorCode::corrupt: return GDK_PIXBUF_ERROR_CORRUPT_IMAGE;
        case decant::ErrorCode::unsupported: return GDK_PIXBUF_ERROR_UNKNOWN_TYPE;
        case decant::ErrorCode::limit: return GDK_PIXBUF_ERROR_INSUFFICIENT_MEMORY;
        default: return GDK_PIXBUF_ERROR_FAILED;
    }
}

// Calls f; what it throws, which must not pass through C, becomes a GError.
template <class F>
gboolean guarded(GError** error, F&& f) {
    try {
        f();
        return TRUE;
    } catch (const decant::Error& e) {
        g_set_error(error, GDK_PIXBUF_ERROR, error_code(e.code()), "%s", e.what());
    } catch (const std::bad_alloc&) {
        g_set_error_literal(error, GDK_PIXBUF_ERROR, GDK_PIXBUF_ERROR_INSUFFICIENT_MEMORY, "not enough memory for the picture");
    } catch (const std::exception& e) {
        g_set_error(error, GDK_PIXBUF_ERROR, GDK_PIXBUF_ERROR_FAILED, "%s", e.what());
    }
    return FALSE;
}

// A row as R, G, B and perhaps A, of 8 bits.
template <class Sample>
void convert_row(const Sample* src, guchar* dst, std::uint32_t width, int channels) {
    constexpr unsigned kDivisor = sizeof(Sample) == 1 ? 1 : 257;
    const bool is_gray = channels <= 2, has_alpha = channels % 2 == 0;
    for (std::uint32_t x = 0; x < width; ++x, src += channels) {
        for (int c = 0; c < 3; ++c) *dst++ = guchar((src[is_gray ? 0 : c] + kDivisor / 2) / kDivisor);
        if (has_alpha) *dst++ = guchar((src[channels - 1] + kDivisor / 2) / kDivisor);
    }
}

void set_option(GdkPixbuf* pixbuf, const char* name, const std::string& value) { gdk_pixbuf_set_option(pixbuf, name, value.c_str()); }

// What gdk-pixbuf has names for: orientation, ICC profile, resolution.
void set_options(GdkPixbuf* pixbuf, const decant::PixelBuffer& picture) {
    if (picture.orientation != 1) set_option(pixbuf, "orientation", std::to_string(picture.orientation));
    if (!picture.metadata.icc.empty()) {
        const std::unique_ptr<gchar, decltype(&g_free)> text(g_base64_encode(picture.metadata.icc.data(), picture.metadata.icc.size()), g_free);
        gdk_pixbuf_set_option(pixbuf, "icc-profile", text.get());
    }
    const auto& resolution = picture.metadata.resolution;
    if (resolution && resolution->unit != decant::Resolution::Unit::none) {
        const double inches = resolution->unit == decant::Resolution::Unit::inch ? 1 : 2.54;
        const auto dpi = [&](const decant::Rational& r) { return std::to_string(int(inches * r.numerator / r.denominator + 0.5)); };
        set_option(pixbuf, "x-dpi", dpi(resolution->x));
        set_option(pixbuf, "y-dpi", dpi(resolution->y));
    }
}

PixbufPtr pixbuf_of(const decant::PixelBuffer& picture) {
    PixbufPtr pixbuf(gdk_pixbuf_new(GDK_COLORSPACE_RGB, picture.channels % 2 == 0, 8, int(picture.width), int(picture.height)));
    if (!pixbuf) throw std::bad_alloc();
    const std::size_t row_samples = std::size_t{picture.width} * std::size_t(picture.channels);
    for (std::uint32_t y = 0; y < picture.height; ++y) {
        guchar* dst = gdk_pixbuf_get_pixels(pixbuf.get()) + std::size_t{y} * std::size_t(gdk_pixbuf_get_rowstride(pixbuf.get()));
        if (picture.depth == 8)
            convert_row(picture.samples.data() + y * row_samples, dst, picture.width, picture.channels);
        else
            convert_row(reinterpret_cast<const std::uint16_t*>(picture.samples.data()) + y * row_samples, dst, picture.width, picture.channels);
    }
    set_options(pixbuf.get(), picture);
    return pixbuf;
}

void show(Load& load) {
    const decant::PictureInfo info = decant::read_info(load.bytes.data(), load.bytes.size());
    if (info.width > G_MAXINT || info.height > G_MAXINT) throw decant::Error(decant::ErrorCode::limit, "a picture that gdk-pixbuf cannot hold");
    int width = int(info.width), height = int(info.height);
    if (load.size_func != nullptr) load.size_func(&width, &height, load.user_data);
    // Whoever wants no pixels asks for none.
    if (width == 0 || height == 0) throw decant::Error(decant::ErrorCode::cancelled, "only the size was wanted");
    // Of what is not smaller gdk-pixbuf makes the size that is wanted.
    decant::DecodeSettings settings;
    const int wanted = std::max(width, height);
    if (wanted > 0 && std::uint32_t(wanted) < std::max(info.width, info.height)) settings.largest_side = std::uint32_t(wanted);
    const decant::PixelBuffer picture = decant::Decoder().decode(load.bytes.data(), load.bytes.size(), settings);
    const PixbufPtr pixbuf = pixbuf_of(picture);
    if (load.prepared_func != nullptr) load.prepared_func(pixbuf.get(), nullptr, load.user_data);
    if (load.updated_func != nullptr) load.updated_func(pixbuf.get(), 0, 0, int(picture.width), int(picture.height), load.user_data);
}

gpointer begin_load(GdkPixbufModuleSizeFunc size_func, GdkPixbufModulePreparedFunc prepared_func, GdkPixbufModuleUpdatedFunc updated_func,
                    gpointer user_data, GError** error) {
    gpointer load = nullptr;
    guarded(error, [&] { load = new Load{size_func, prepared_func, updated_func, user_data, {}}; });
    return load;
}

gboolean load_increment(gpointer context, const guchar* bytes, guint size, GError** error) {
    return guarded(error, [&] {
        auto& load = *static_cast<Load*>(context);
        load.bytes.insert(load.bytes.end(), bytes, bytes + size);
    });
}

gboolean stop_load(gpointer context, GError** error) {
    const std::unique_ptr<Load> load(static_cast<Load*>(context));
    return guarded(error, [&] { show(*load); });
}

}  // namespace

extern "C" {

G_MODULE_EXPORT void fill_vtable(GdkPixbufModule* module) {
    module->begin_load = begin_load;
    module->load_increment = load_increment;
    module->stop_load = stop_load;
}

G_MODULE_EXPORT void fill_info(GdkPixbufFormat* info) {
    // gdk-pixbuf changes none of these, but its structures are from before const.
    static char signature[] = "\x8D" "DCN", name[] = "dcn", description[] = "decant image", license[] = "Apache-2.0";
    static char mime_type[] = "image/x-dcn", extension[] = "dcn";
    static GdkPixbufModulePattern patterns[] = {{signature, nullptr, 100}, {nullptr, nullptr, 0}};
    static gchar* mime_types[] = {mime_type, nullptr};
    static gchar* extensions[] = {extension, nullptr};
    info->name = name;
    info->signature = patterns;
    info->description = description;
    info->mime_types = mime_types;
    info->extensions = extensions;
    info->flags = GDK_PIXBUF_FORMAT_THREADSAFE;
    info->license = license;
}

}  // extern "C"
