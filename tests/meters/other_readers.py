"""Registers of the shipped maps that mbmd does not list, and those where it errs.

They were read from the source that stands above each family and not from our maps; addresses are
those of the wire. Whatever is changed in a map has to be changed here too, from its source.
"""

from .listing import Listing

OTHER_READERS: dict[str, list[Listing]] = {
    # From Tinkerforge's esp32-firmware; the counter at 0x42 can be reset (dbus-cgwacs reads 0x3E).
    "carlo_gavazzi_em24": [
        Listing(
            "input",
            word_order="little",
            rows=[
                (
                    "i32",
                    10,
                    (
                        "voltage_l1_l2=0x06 voltage_l2_l3=0x08 voltage_l3_l1=0x0A "
                        "voltage_ln_average=0x24 voltage_ll_average=0x26 apparent_power=0x2A "
                        "apparent_power_l1=0x18 apparent_power_l2=0x1A apparent_power_l3=0x1C "
                        "reactive_power=0x2C reactive_power_l1=0x1E reactive_power_l2=0x20 "
                        "reactive_power_l3=0x22 energy_import=0x3E reactive_energy_import=0x40 "
                        "energy_import_resettable=0x42 reactive_energy_export=0x5E "
                    ),
                ),
            ],
        ),
    ],
    # From Tinkerforge's esp32-firmware (ET300) and Victron's dbus-cgwacs.
    "carlo_gavazzi_em24_e1": [
        Listing(
            "input",
            word_order="little",
            rows=[
                ("i32", 10, ("energy_export_l1=0x60 energy_export_l2=0x62 energy_export_l3=0x64 ")),
            ],
        ),
    ],
    # From Tinkerforge's esp32-firmware; the second tariff from Siemens' PAC3200 manual.
    "siemens_pac2200": [
        Listing(
            "input",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "voltage_l1_l2=7 voltage_l2_l3=9 voltage_l3_l1=11 apparent_power_l1=19 "
                        "apparent_power_l2=21 apparent_power_l3=23 reactive_power_l1=31 "
                        "reactive_power_l2=33 reactive_power_l3=35 frequency=55 "
                        "voltage_ln_average=57 "
                        "voltage_ll_average=59 current_average=61 current_n=71 "
                    ),
                ),
                (
                    "f64",
                    1000,
                    (
                        "energy_import_t2=805 energy_export_t2=813 reactive_energy_import=817 "
                        "reactive_energy_import_t2=821 reactive_energy_export=825 "
                        "reactive_energy_export_t2=829 apparent_energy=833 apparent_energy_t2=837 "
                        "energy_import_l1=841 energy_export_l1=849 reactive_energy_import_l1=857 "
                        "reactive_energy_export_l1=865 apparent_energy_l1=873 energy_import_l2=881 "
                        "energy_export_l2=889 reactive_energy_import_l2=897 "
                        "reactive_energy_export_l2=905 apparent_energy_l2=913 energy_import_l3=921 "
                        "energy_export_l3=929 reactive_energy_import_l3=937 "
                        "reactive_energy_export_l3=945 apparent_energy_l3=953 "
                    ),
                ),
            ],
        ),
    ],
    # From the register list of its maker, numbers from 1 (WattNode 1001 and after).
    "solaredge_se_mtr_3y": [
        Listing(
            "input",
            word_order="little",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "energy_net=0x3E8 energy_net_l1=0x44C energy_net_l2=0x44E "
                        "energy_net_l3=0x450 "
                        "reactive_energy_net=0x462 reactive_energy_net_l1=0x464 "
                        "reactive_energy_net_l2=0x466 reactive_energy_net_l3=0x468 "
                        "apparent_energy=0x46A apparent_energy_l1=0x46C apparent_energy_l2=0x46E "
                        "apparent_energy_l3=0x470 voltage_ln_average=0x3F8 "
                        "voltage_ll_average=0x400 "
                    ),
                ),
            ],
        ),
    ],
    # From Tinkerforge's esp32-firmware; without a direction they may run back.
    "janitza_b_series": [
        Listing(
            "holding",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "voltage_l1_l2=0x4A3E voltage_l2_l3=0x4A40 voltage_l3_l1=0x4A42 "
                        "current_sum=0x4A4A apparent_power_l1=0x4A54 apparent_power_l2=0x4A56 "
                        "apparent_power_l3=0x4A58 apparent_power=0x4A5A reactive_power_l1=0x4A5C "
                        "reactive_power_l2=0x4A5E reactive_power_l3=0x4A60 reactive_power=0x4A62 "
                        "thd_voltage_l1=0x4AA6 thd_voltage_l2=0x4AA8 thd_voltage_l3=0x4AAA "
                        "thd_current_l1=0x4AAC thd_current_l2=0x4AAE thd_current_l3=0x4AB0 "
                    ),
                ),
                (
                    "f32",
                    1000,
                    (
                        "energy_net_l1=0x4A6E energy_net_l2=0x4A70 energy_net_l3=0x4A72 "
                        "energy_net=0x4A74 apparent_energy_l1=0x4A86 apparent_energy_l2=0x4A88 "
                        "apparent_energy_l3=0x4A8A apparent_energy=0x4A8C "
                        "reactive_energy_net_l1=0x4A8E "
                        "reactive_energy_net_l2=0x4A90 reactive_energy_net_l3=0x4A92 "
                        "reactive_energy_net=0x4A94 reactive_energy_inductive_l1=0x4A96 "
                        "reactive_energy_inductive_l2=0x4A98 reactive_energy_inductive_l3=0x4A9A "
                        "reactive_energy_inductive=0x4A9C reactive_energy_capacitive_l1=0x4A9E "
                        "reactive_energy_capacitive_l2=0x4AA0 reactive_energy_capacitive_l3=0x4AA2 "
                        "reactive_energy_capacitive=0x4AA4 "
                    ),
                ),
            ],
        ),
    ],
    # From SolarNode's plugin and Schneider's DOCA0005, numbers from 1.
    "schneider_iem3000": [
        Listing(
            "holding",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "voltage_l1_l2=0x0BCB voltage_l2_l3=0x0BCD voltage_l3_l1=0x0BCF "
                        "voltage_ll_average=0x0BD1 power_factor=0x0C0B "
                    ),
                ),
            ],
        ),
    ],
    # From Tinkerforge's esp32-firmware.
    "eltako_dsz15_dsz16": [
        Listing(
            "input",
            rows=[
                (
                    "i32",
                    1,
                    (
                        "apparent_power_l1=0x12 apparent_power_l2=0x14 apparent_power_l3=0x16 "
                        "reactive_power_l1=0x18 reactive_power_l2=0x1A reactive_power_l3=0x1C "
                        "apparent_power=0x36 reactive_power=0x38 "
                    ),
                ),
                ("i32", 100, ("frequency=0x46 ")),
                ("i32", 1000, ("phase_angle=0x40 ")),
            ],
        ),
    ],
    # From reaper7/SDM_Energy_Meter and nmakel/sdm_modbus.
    "eastron_sdm630": [
        Listing(
            "input",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "power_demand=0x0054 power_demand_max=0x0056 apparent_power_demand=0x0064 "
                        "apparent_power_demand_max=0x0066 current_demand_n=0x0068 "
                        "current_demand_n_max=0x006A current_demand_l1=0x0102 "
                        "current_demand_l2=0x0104 "
                        "current_demand_l3=0x0106 current_demand_l1_max=0x0108 "
                        "current_demand_l2_max=0x010A current_demand_l3_max=0x010C "
                        "thd_voltage_l1_l2=0x014E thd_voltage_l2_l3=0x0150 "
                        "thd_voltage_l3_l1=0x0152 "
                    ),
                ),
            ],
        ),
    ],
    # From reaper7/SDM_Energy_Meter, for the registers of the SDM630.
    "eastron_smart_x96": [
        Listing(
            "input",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "power_demand=0x0054 power_demand_max=0x0056 apparent_power_demand=0x0064 "
                        "apparent_power_demand_max=0x0066 current_demand_n=0x0068 "
                        "current_demand_n_max=0x006A current_demand_l1=0x0102 "
                        "current_demand_l2=0x0104 "
                        "current_demand_l3=0x0106 current_demand_l1_max=0x0108 "
                        "current_demand_l2_max=0x010A current_demand_l3_max=0x010C "
                        "thd_voltage_l1_l2=0x014E thd_voltage_l2_l3=0x0150 "
                        "thd_voltage_l3_l1=0x0152 "
                        "voltage_l1_l2=0x00C8 voltage_l2_l3=0x00CA voltage_l3_l1=0x00CC "
                        "voltage_ll_average=0x00CE voltage_ln_average=0x002A "
                        "current_average=0x002E "
                        "current_sum=0x0030 current_n=0x00E0 thd_current=0x00FA "
                        "thd_current_l1=0x00F0 "
                        "thd_current_l2=0x00F2 thd_current_l3=0x00F4 apparent_energy=0x0050 "
                    ),
                ),
            ],
        ),
    ],
    # From nmakel/sdm_modbus.
    "eastron_sdm120": [
        Listing(
            "input",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "power_demand=0x0054 power_demand_max=0x0056 power_demand_import=0x0058 "
                        "power_demand_import_max=0x005A power_demand_export=0x005C "
                        "power_demand_export_max=0x005E current_demand=0x0102 "
                        "current_demand_max=0x0108 "
                        "phase_angle=0x0024 "
                    ),
                ),
            ],
        ),
    ],
    # From reaper7/SDM_Energy_Meter and nmakel/sdm_modbus.
    "eastron_sdm230": [
        Listing(
            "input",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "power_demand=0x0054 power_demand_max=0x0056 power_demand_import=0x0058 "
                        "power_demand_import_max=0x005A power_demand_export=0x005C "
                        "power_demand_export_max=0x005E current_demand=0x0102 "
                        "current_demand_max=0x0108 "
                        "energy_sum_resettable=0x0180 reactive_energy_sum_resettable=0x0182 "
                    ),
                ),
            ],
        ),
    ],
    # From nmakel/sdm_modbus.
    "eastron_sdm72": [
        Listing(
            "input",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "energy_sum_resettable=0x0180 energy_import_resettable=0x0184 "
                        "energy_export_resettable=0x0186 power_import=0x0500 power_export=0x0502 "
                    ),
                ),
            ],
        ),
    ],
    # From nmakel/sdm_modbus.
    "eastron_sdm72_v2": [
        Listing(
            "input",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "voltage_l1_l2=0x00C8 voltage_l2_l3=0x00CA voltage_l3_l1=0x00CC "
                        "voltage_ll_average=0x00CE voltage_ln_average=0x002A "
                        "current_average=0x002E "
                        "current_sum=0x0030 current_n=0x00E0 energy_sum_resettable=0x0180 "
                        "energy_import_resettable=0x0184 energy_export_resettable=0x0186 "
                        "energy_net=0x018C power_import=0x0500 power_export=0x0502 "
                    ),
                ),
            ],
        ),
    ],
    # From manual of the CVM-C5, page 45.
    "circutor_cvm_c5": [
        Listing(
            "input",
            rows=[
                (
                    "u32",
                    1000,
                    (
                        "energy_import_t2=0x6C reactive_energy_inductive_t2=0x6E "
                        "reactive_energy_capacitive_t2=0x70 energy_export_t2=0x74 "
                        "apparent_energy=0x5E "
                        "apparent_energy_t2=0x72 apparent_energy_export=0x66 "
                    ),
                ),
            ],
        ),
    ],
    # From manual of the CEM M-ETH, page 14.
    "circutor_cem_c31": [
        Listing(
            "holding",
            rows=[
                ("u32", 1000, ("energy_import_resettable=0x0030 energy_export_resettable=0x0032 ")),
                ("u32", 10, ("operating_time=0x00C6 ")),
            ],
        ),
    ],
    # From data sheet of the ALE3D5FD10C3A00, page 6, numbers from 1.
    "saia_burgess_ale3": [
        Listing(
            "holding",
            rows=[
                ("u32", 100, ("energy_import_t2=31 energy_import_resettable=29 ")),
            ],
        ),
    ],
    # From lamaPLC's table of the DS100; the export is where the WS100 has it.
    "bg_etech_ds100": [
        Listing(
            "holding",
            rows=[
                (
                    "u32",
                    1000,
                    (
                        "voltage_l1_l2=0x0406 voltage_l2_l3=0x0408 voltage_l3_l1=0x040A "
                        "voltage_ln_average=0x040C voltage_ll_average=0x040E "
                    ),
                ),
                ("i32", 1000, ("current_n=0x0416 ")),
                ("u32", 100, ("energy_export=0x0118 ")),
            ],
        ),
    ],
    # From lmatula/ha_chint_pm and aggsoft's register list.
    "chint_dtsu666": [
        Listing(
            "holding",
            rows=[
                ("f32", 10, "voltage_l1_l2=0x2000 voltage_l2_l3=0x2002 voltage_l3_l1=0x2004"),
                (
                    "f32",
                    1,
                    (
                        "reactive_energy_q1=0x1032 reactive_energy_q2=0x103C "
                        "reactive_energy_q3=0x1046 reactive_energy_q4=0x1050"
                    ),
                ),
            ],
        ),
    ],
    # From mbmd, which has the two-way type; numbers from 1 there.
    "saia_burgess_ale3_bidirectional": [
        Listing(
            "holding",
            rows=[
                ("u32", 100, "energy_import=27 energy_import_resettable=29 energy_export=31"),
                ("u16", 1, "voltage_l1=35 voltage_l2=40 voltage_l3=45"),
                ("u16", 10, "current_l1=36 current_l2=41 current_l3=46"),
                ("i16", 0.1, "power_l1=37 power_l2=42 power_l3=47 power=50"),
                (
                    "i16",
                    0.1,
                    (
                        "reactive_power_l1=38 reactive_power_l2=43 reactive_power_l3=48 "
                        "reactive_power=51"
                    ),
                ),
                ("u16", 100, "power_factor_l1=39 power_factor_l2=44 power_factor_l3=49"),
            ],
        ),
    ],
}
