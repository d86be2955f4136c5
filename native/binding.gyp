{
	# One static library per instruction set; everything else is compiled without instruction set flags, so that nothing outside
	# the dispatched bodies can hold an instruction that the machine lacks. Not in the package root: npm would run it at install.
	"variables": {
		"conv_cflags": ["-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fno-lto", "-Wall", "-Wextra", "-Wno-type-limits", "-Werror=implicit-function-declaration"],
	},
	"target_defaults": {
		"cflags": ["<@(conv_cflags)"],
		"cflags!": ["-O2", "-fno-omit-frame-pointer", "-flto"],
		"defines": ["_GNU_SOURCE", "NDEBUG"],
		"xcode_settings": {
			"OTHER_CFLAGS": ["<@(conv_cflags)"],
			"MACOSX_DEPLOYMENT_TARGET": "11.0",
		},
	},
	"targets": [
		{
			"target_name": "conv_base",
			"type": "static_library",
			"sources": ["isa_base.c"],
		},
		{
			"target_name": "faltung",
			"sources": [
				"addon.c",
				"addon_run.c",
				"box.c",
				"check.c",
				"checksum.c",
				"checksum_compare.c",
				"checksum_measure.c",
				"checksum_project.c",
				"checksum_rows.c",
				"dispatch.c",
				"fft_plan.c",
				"fft_prepare.c",
				"fft_tile.c",
				"interleaved.c",
				"lines.c",
				"memory.c",
				"pool.c",
				"prepare.c",
				"probe.c",
				"reference.c",
				"rows.c",
				"run.c",
				"separable.c",
				"strip.c",
				"tile.c",
			],
			"defines": ["NAPI_VERSION=8"],
			"dependencies": ["conv_base"],
			"conditions": [
				["OS=='linux'", {"libraries": ["-lm", "-lpthread"]}],
				["target_arch=='x64'", {"dependencies": ["conv_avx2", "conv_avx512"]}],
				["target_arch=='arm64'", {"dependencies": ["conv_neon"]}],
			],
		},
	],
	"conditions": [
		["target_arch=='x64'", {
			"targets": [
				{
					"target_name": "conv_avx2",
					"type": "static_library",
					"sources": ["isa_avx2.c"],
					"cflags": ["-mavx2", "-mfma"],
					"xcode_settings": {"OTHER_CFLAGS": ["-mavx2", "-mfma"]},
				},
				{
					"target_name": "conv_avx512",
					"type": "static_library",
					"sources": ["isa_avx512.c"],
					"cflags": ["-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"],
					"xcode_settings": {"OTHER_CFLAGS": ["-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]},
				},
			],
		}],
		["target_arch=='arm64'", {
			"targets": [
				{
					"target_name": "conv_neon",
					"type": "static_library",
					"sources": ["isa_neon.c"],
				},
			],
		}],
	],
}
