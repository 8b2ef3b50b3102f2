"""Where the registers of further families are, from a second source where there is one.

Each row was read from the second of the sources that the map names; what that one does not have
stands under `FIRST_SOURCE`, typed again from the first. Others may have confirmed it since: a map
tells how many sources each of its registers has. These are facts to check the maps against:
whatever is changed in a map has to be changed here too, from its source.
"""

from .listing import Listing

# By the second source.
TWO_SOURCES: dict[str, list[Listing]] = {
    "huawei_sun2000": [
        Listing(
            "holding",
            rows=[
                (
                    "u16",
                    10,
                    (
                        "voltage_l1_l2=32066 voltage_l2_l3=32067 voltage_l3_l1=32068 "
                        "voltage_l1=32069 voltage_l2=32070 voltage_l3=32071 state_of_charge=37760 "
                        "voltage_battery=37763"
                    ),
                ),
                ("i32", 1000, "current_l1=32072 current_l2=32074 current_l3=32076"),
                ("i32", 1, "power=32080 reactive_power=32082 power_dc=32064"),
                ("i16", 1000, "power_factor=32084"),
                ("u16", 100, "frequency=32085"),
                (
                    "i16",
                    10,
                    (
                        "temperature_cabinet=32087 voltage_dc_1=32016 voltage_dc_2=32018 "
                        "voltage_dc_3=32020 voltage_dc_4=32022 voltage_dc_5=32024 "
                        "voltage_dc_6=32026"
                    ),
                ),
                (
                    "i32",
                    -1,
                    (
                        "power_grid=37113 power_grid_l1=37132 power_grid_l2=37134 "
                        "power_grid_l3=37136 power_battery=37765"
                    ),
                ),
                ("i32", 100, "energy_export=37119 energy_import=37121"),
                ("i16", -10, "current_battery=37764"),
                (
                    "u32",
                    100,
                    (
                        "energy_battery_charged=37780 energy_battery_discharged=37782 "
                        "energy_produced=32106 energy_dc_produced=32108"
                    ),
                ),
                (
                    "i16",
                    100,
                    (
                        "current_dc_1=32017 current_dc_2=32019 current_dc_3=32021 "
                        "current_dc_4=32023 current_dc_5=32025 current_dc_6=32027"
                    ),
                ),
            ],
        ),
    ],
    "huawei_emma": [
        Listing(
            "holding",
            rows=[
                (
                    "u32",
                    100,
                    (
                        "voltage_l1=31639 voltage_l2=31641 voltage_l3=31643 voltage_l1_l2=31645 "
                        "voltage_l2_l3=31647 voltage_l3_l1=31649 energy_produced=30344"
                    ),
                ),
                ("i32", 10, "current_l1=31651 current_l2=31653 current_l3=31655"),
                (
                    "i32",
                    1,
                    (
                        "power=31657 apparent_power=31663 power_l1=31665 power_l2=31667 "
                        "power_l3=31669"
                    ),
                ),
                ("i32", 1000, "power_factor=31661"),
                ("i64", 100, "energy_net=31671"),
                (
                    "u64",
                    100,
                    (
                        "energy_battery_charged=30308 energy_battery_discharged=30314 "
                        "energy_dc_produced=30348"
                    ),
                ),
                ("i32", -1, "power_battery=30360"),
                ("u16", 100, "state_of_charge=30368"),
                ("u32", 1, "power_load=30356 power_dc=30354"),
            ],
        ),
    ],
    "huawei_smartlogger": [
        Listing(
            "holding",
            rows=[
                (
                    "u32",
                    100,
                    (
                        "voltage_l1=32260 voltage_l2=32262 voltage_l3=32264 voltage_l1_l2=32266 "
                        "voltage_l2_l3=32268 voltage_l3_l1=32270"
                    ),
                ),
                ("i32", 10, "current_l1=32272 current_l2=32274 current_l3=32276"),
                (
                    "i32",
                    1,
                    (
                        "power=32278 power_l1=32335 power_l2=32337 power_l3=32339 "
                        "reactive_power=32280 apparent_power=32287"
                    ),
                ),
                (
                    "i64",
                    100,
                    (
                        "energy_import=32349 energy_net=32341 reactive_energy_net=32345 "
                        "energy_export=32357"
                    ),
                ),
                ("i16", 1000, "power_factor=32284"),
            ],
        ),
    ],
    "sungrow_sh": [
        Listing(
            "input",
            word_order="little",
            rows=[
                (
                    "u32",
                    10,
                    (
                        "energy_produced=5003 energy_import=13036 energy_export=13045 "
                        "energy_battery_discharged=13026 energy_battery_charged=13040 "
                        "energy_dc_produced=13002"
                    ),
                ),
                (
                    "i32",
                    1,
                    (
                        "reactive_power=5032 power=13033 power_load=13007 power_grid_l1=5602 "
                        "power_grid_l2=5604 power_grid_l3=5606"
                    ),
                ),
                ("i32", -1, "power_grid=13009"),
                ("u32", 1, "power_dc=5016"),
            ],
        ),
        Listing(
            "input",
            rows=[
                (
                    "i16",
                    10,
                    (
                        "temperature_cabinet=5007 current_l1=13030 current_l2=13031 "
                        "current_l3=13032 temperature_battery=13024"
                    ),
                ),
                ("i16", 1000, "power_factor=5034"),
                (
                    "u16",
                    10,
                    (
                        "voltage_l1=5018 voltage_l2=5019 voltage_l3=5020 voltage_battery=13019 "
                        "state_of_charge=13022 voltage_dc_1=5010 current_dc_1=5011 "
                        "voltage_dc_2=5012 current_dc_2=5013 voltage_dc_3=5014 current_dc_3=5015 "
                        "voltage_dc_4=5114 current_dc_4=5115 state_of_health=13023"
                    ),
                ),
                ("u16", 100, "frequency=5241"),
            ],
        ),
    ],
    "sungrow_sg": [
        Listing(
            "input",
            word_order="little",
            rows=[
                ("u32", 1, "energy_produced=5003 apparent_power=5008 power=5030 power_dc=5016"),
                (
                    "i32",
                    1,
                    (
                        "power_grid=5082 power_grid_l1=5084 power_grid_l2=5086 power_grid_l3=5088 "
                        "power_load=5090"
                    ),
                ),
                ("u32", 10, "energy_export=5094 energy_import=5098"),
            ],
        ),
        Listing(
            "input",
            rows=[
                (
                    "i16",
                    10,
                    "temperature_cabinet=5007 current_l1=5021 current_l2=5022 current_l3=5023",
                ),
                ("i16", 1000, "power_factor=5034"),
                (
                    "u16",
                    10,
                    (
                        "voltage_l1=5018 voltage_l2=5019 voltage_l3=5020 frequency=5035 "
                        "voltage_dc_1=5010 current_dc_1=5011 voltage_dc_2=5012 current_dc_2=5013 "
                        "voltage_dc_3=5014 current_dc_3=5015"
                    ),
                ),
            ],
        ),
    ],
    "solis_hybrid": [
        Listing(
            "input",
            rows=[
                (
                    "u16",
                    10,
                    (
                        "voltage_l1=33073 voltage_l2=33074 voltage_l3=33075 current_l1=33076 "
                        "current_l2=33077 current_l3=33078 voltage_battery=33133 "
                        "voltage_dc_1=33049 current_dc_1=33050 voltage_dc_2=33051 "
                        "current_dc_2=33052 voltage_dc_3=33053 current_dc_3=33054 "
                        "voltage_dc_4=33055 current_dc_4=33056"
                    ),
                ),
                ("i32", 1, "power=33079 reactive_power=33081 apparent_power=33083"),
                ("i16", 10, "temperature_cabinet=33093"),
                ("u16", 100, "frequency=33094"),
                (
                    "i32",
                    -1,
                    (
                        "power_grid_l1=33257 power_grid_l2=33259 power_grid_l3=33261 "
                        "power_grid=33263"
                    ),
                ),
                ("u32", 100, "energy_import=33283 energy_export=33285"),
                ("u16", 1, "state_of_charge=33139 state_of_health=33140 power_load=33147"),
                (
                    "u32",
                    1,
                    (
                        "energy_battery_charged=33161 energy_battery_discharged=33165 "
                        "energy_load=33177 energy_dc_produced=33029 power_dc=33057"
                    ),
                ),
            ],
        ),
    ],
    "solis_string": [
        Listing(
            "input",
            rows=[
                (
                    "u16",
                    10,
                    (
                        "voltage_dc_1=3021 current_dc_1=3022 voltage_dc_2=3023 current_dc_2=3024 "
                        "voltage_l1=3033 voltage_l2=3034 voltage_l3=3035 current_l1=3036 "
                        "current_l2=3037 current_l3=3038"
                    ),
                ),
                ("i16", 10, "temperature_cabinet=3041"),
                ("u16", 100, "frequency=3042"),
                ("u32", 1, "energy_produced=3008 power=3004"),
            ],
        ),
    ],
    "deye_hybrid_3p_lv": [
        Listing(
            "holding",
            rows=[
                ("i16", 100, "current_l1=630 current_l2=631 current_l3=632 current_battery=591"),
                (
                    "i16",
                    1,
                    (
                        "power_l1=633 power_l2=634 power_l3=635 power=636 power_battery=590 "
                        "power_load_l1=650 power_load_l2=651 power_load_l3=652 power_load=653 "
                        "power_grid=625"
                    ),
                ),
                (
                    "u16",
                    10,
                    (
                        "voltage_l1=598 voltage_l2=599 voltage_l3=600 voltage_dc_1=676 "
                        "current_dc_1=677 voltage_dc_2=678 current_dc_2=679 voltage_dc_3=680 "
                        "current_dc_3=681 voltage_dc_4=682 current_dc_4=683"
                    ),
                ),
                ("u16", 100, "frequency=609 voltage_battery=587"),
                (
                    "u16",
                    1,
                    (
                        "state_of_charge=588 power_dc_1=672 power_dc_2=673 power_dc_3=674 "
                        "power_dc_4=675"
                    ),
                ),
            ],
        ),
        Listing(
            "holding",
            word_order="little",
            rows=[
                (
                    "u32",
                    10,
                    (
                        "energy_import=522 energy_export=524 energy_battery_charged=516 "
                        "energy_battery_discharged=518 energy_dc_produced=534 energy_load=527"
                    ),
                ),
            ],
        ),
    ],
    "deye_hybrid_3p_hv": [
        Listing(
            "holding",
            rows=[
                ("i16", 100, "current_l1=630 current_l2=631 current_l3=632 current_battery=591"),
                (
                    "i16",
                    1,
                    (
                        "power_l1=633 power_l2=634 power_l3=635 power=636 power_load_l1=650 "
                        "power_load_l2=651 power_load_l3=652 power_load=653 power_grid=625"
                    ),
                ),
                (
                    "u16",
                    10,
                    (
                        "voltage_l1=598 voltage_l2=599 voltage_l3=600 voltage_battery=587 "
                        "voltage_dc_1=676 current_dc_1=677 voltage_dc_2=678 current_dc_2=679 "
                        "voltage_dc_3=680 current_dc_3=681 voltage_dc_4=682 current_dc_4=683"
                    ),
                ),
                ("u16", 100, "frequency=609"),
                ("u16", 1, "state_of_charge=588"),
                ("i16", 0.1, "power_battery=590"),
                ("u16", 0.1, "power_dc_1=672 power_dc_2=673 power_dc_3=674 power_dc_4=675"),
            ],
        ),
        Listing(
            "holding",
            word_order="little",
            rows=[
                (
                    "u32",
                    10,
                    (
                        "energy_import=522 energy_export=524 energy_battery_charged=516 "
                        "energy_battery_discharged=518 energy_dc_produced=534 energy_load=527"
                    ),
                ),
            ],
        ),
    ],
    "growatt_tl_xh": [
        Listing(
            "input",
            rows=[
                ("i32", 10, "power=3023"),
                ("u16", 100, "frequency=3025 voltage_battery=3169"),
                (
                    "u16",
                    10,
                    (
                        "voltage_l1=3026 current_l1=3027 voltage_l2=3030 current_l2=3031 "
                        "voltage_l3=3034 current_l3=3035 temperature_cabinet=3093 "
                        "voltage_dc_1=3003 current_dc_1=3004 voltage_dc_2=3007 current_dc_2=3008 "
                        "voltage_dc_3=3011 current_dc_3=3012 voltage_dc_4=3015 current_dc_4=3016"
                    ),
                ),
                (
                    "u32",
                    10,
                    (
                        "energy_produced=3051 power_import=3041 energy_import=3069 "
                        "energy_export=3073 energy_battery_discharged=3127 "
                        "energy_battery_charged=3131 power_load=3045 energy_load=3077 "
                        "power_dc=3001 power_dc_1=3005 power_dc_2=3009 power_dc_3=3013 "
                        "power_dc_4=3017 energy_dc_produced=3053"
                    ),
                ),
                ("u16", 1, "state_of_charge=3171"),
            ],
        ),
    ],
    "growatt_tl": [
        Listing(
            "input",
            rows=[
                (
                    "u32",
                    10,
                    (
                        "power_dc=1 power_dc_1=5 power_dc_2=9 power=35 energy_produced=55 "
                        "energy_dc_produced=91"
                    ),
                ),
                (
                    "u16",
                    10,
                    (
                        "voltage_dc_1=3 current_dc_1=4 voltage_dc_2=7 current_dc_2=8 voltage_l1=38 "
                        "current_l1=39 voltage_l2=42 current_l2=43 voltage_l3=46 current_l3=47 "
                        "temperature_cabinet=93"
                    ),
                ),
                ("u16", 100, "frequency=37"),
            ],
        ),
    ],
    "growatt_sph": [
        Listing(
            "input",
            rows=[
                (
                    "u32",
                    10,
                    (
                        "power_import=1021 power_export=1029 energy_import=1046 power_dc=1 "
                        "energy_dc_produced=91 energy_battery_discharged=1054 power_dc_1=5 "
                        "power_dc_2=9 power_load=1037 energy_load=1062 energy_produced=55 power=35 "
                        "energy_export=1050 energy_battery_charged=1058"
                    ),
                ),
                ("u16", 1, "state_of_charge=1014"),
                (
                    "u16",
                    10,
                    (
                        "voltage_dc_1=3 current_dc_1=4 voltage_dc_2=7 current_dc_2=8 voltage_l1=38 "
                        "current_l1=39 temperature_cabinet=93 voltage_l2=42 current_l2=43 "
                        "voltage_l3=46 current_l3=47"
                    ),
                ),
                ("u16", 100, "frequency=37"),
            ],
        ),
    ],
    "solax_x3_hybrid": [
        Listing(
            "input",
            word_order="little",
            rows=[
                (
                    "u32",
                    10,
                    (
                        "energy_produced=82 energy_battery_discharged=29 energy_battery_charged=33 "
                        "energy_dc_produced=148"
                    ),
                ),
                ("i32", -1, "power_grid=70"),
                ("u32", 100, "energy_export=72 energy_import=74"),
            ],
        ),
        Listing(
            "input",
            rows=[
                ("i16", 10, "voltage_battery=20 current_l1=107 current_l2=111 current_l3=115"),
                ("i16", -10, "current_battery=21"),
                ("i16", -1, "power_battery=22"),
                ("i16", 1, "temperature_battery=24 power_l1=108 power_l2=112 power_l3=116"),
                ("u16", 1, "state_of_charge=28 power_dc_1=10 power_dc_2=11"),
                (
                    "u16",
                    10,
                    (
                        "voltage_dc_1=3 voltage_dc_2=4 current_dc_1=5 current_dc_2=6 "
                        "voltage_l1=106 voltage_l2=110 voltage_l3=114"
                    ),
                ),
                ("u16", 100, "frequency=109"),
            ],
        ),
    ],
    "solax_x1_hybrid": [
        Listing(
            "input",
            word_order="little",
            rows=[
                (
                    "u32",
                    10,
                    (
                        "energy_produced=82 energy_battery_discharged=29 energy_battery_charged=33 "
                        "energy_dc_produced=148"
                    ),
                ),
                ("i32", -1, "power_grid=70"),
                ("u32", 100, "energy_export=72 energy_import=74"),
            ],
        ),
        Listing(
            "input",
            rows=[
                ("i16", 10, "voltage_battery=20 current=1"),
                ("i16", -10, "current_battery=21"),
                ("i16", -1, "power_battery=22"),
                ("i16", 1, "temperature_battery=24 power=2"),
                ("u16", 1, "state_of_charge=28 power_dc_1=10 power_dc_2=11"),
                (
                    "u16",
                    10,
                    "voltage_dc_1=3 voltage_dc_2=4 current_dc_1=5 current_dc_2=6 voltage=0",
                ),
                ("u16", 100, "frequency=7"),
            ],
        ),
    ],
    "solax_x3_mic": [
        Listing(
            "input",
            rows=[
                (
                    "u16",
                    10,
                    (
                        "current_l1=1034 current_l2=1035 current_l3=1036 voltage_l1=1028 "
                        "voltage_l2=1029 voltage_l3=1030 voltage_dc_1=1024 voltage_dc_2=1025 "
                        "current_dc_1=1026 current_dc_2=1027 voltage_dc_3=1065 current_dc_3=1066"
                    ),
                ),
                (
                    "u16",
                    1,
                    (
                        "temperature_heat_sink=1037 power=1038 power_l1=1040 power_l2=1041 "
                        "power_l3=1042 power_dc_1=1044 power_dc_2=1045 power_dc_3=1067"
                    ),
                ),
                ("u16", 100, "frequency=1031"),
            ],
        ),
        Listing(
            "input",
            word_order="little",
            rows=[
                (
                    "i32",
                    -1,
                    "power_grid=1083 power_grid_l1=1796 power_grid_l2=1798 power_grid_l3=1800",
                ),
                ("u32", 100, "energy_export=1085 energy_import=1087"),
                ("u32", 10, "energy_produced=1059"),
            ],
        ),
    ],
    "goodwe_et": [
        Listing(
            "holding",
            rows=[
                (
                    "i32",
                    1,
                    (
                        "power=35137 power_l1=35124 power_l2=35129 power_l3=35134 "
                        "power_battery=35182 power_load=35171"
                    ),
                ),
                (
                    "i16",
                    10,
                    ("temperature_cabinet=35174 temperature_heat_sink=35176 current_battery=35181"),
                ),
                (
                    "u32",
                    10,
                    (
                        "energy_produced=35195 energy_battery_charged=35206 "
                        "energy_battery_discharged=35209 energy_load=35203 energy_dc_produced=35191"
                    ),
                ),
                (
                    "u16",
                    10,
                    (
                        "voltage_l1=35121 current_l1=35122 voltage_l2=35126 current_l2=35127 "
                        "voltage_l3=35131 current_l3=35132 voltage_battery=35180 "
                        "temperature_battery=37003 voltage_dc_1=35103 current_dc_1=35104 "
                        "voltage_dc_2=35107 current_dc_2=35108 voltage_dc_3=35111 "
                        "current_dc_3=35112 voltage_dc_4=35115 current_dc_4=35116"
                    ),
                ),
                ("u16", 100, "frequency=35123"),
                ("f32", 1000, "energy_export=36015 energy_import=36017"),
                ("u16", 1, "state_of_charge=37007 state_of_health=37008"),
                ("u32", 1, "power_dc_1=35105 power_dc_2=35109 power_dc_3=35113 power_dc_4=35117"),
                (
                    "i32",
                    -1,
                    (
                        "power_grid=36025 power_grid_l1=36019 power_grid_l2=36021 "
                        "power_grid_l3=36023"
                    ),
                ),
            ],
        ),
    ],
    "kostal_plenticore": [
        Listing(
            "holding",
            word_order="little",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "frequency=152 current_l1=154 power_l1=156 voltage_l1=158 current_l2=160 "
                        "power_l2=162 voltage_l2=164 current_l3=166 power_l3=168 voltage_l3=170 "
                        "reactive_power=174 state_of_charge=210 temperature_battery=214 "
                        "voltage_battery=216 power_grid=252 power_grid_l1=224 power_grid_l2=234 "
                        "power_grid_l3=244 power_factor=150 power_dc=100 power=172 "
                        "apparent_power=178 current_dc_1=258 power_dc_1=260 voltage_dc_1=266 "
                        "current_dc_2=268 power_dc_2=270 voltage_dc_2=276 current_dc_3=278 "
                        "power_dc_3=280 voltage_dc_3=286"
                    ),
                ),
                ("f32", 1000, "energy_dc_produced=1056 energy_produced=320"),
            ],
        ),
        Listing(
            "holding",
            rows=[
                ("i16", 1, "power_battery=582"),
            ],
        ),
    ],
    "sofar_hyd_3ph": [
        Listing(
            "holding",
            rows=[
                (
                    "u16",
                    100,
                    (
                        "frequency=1156 current_l1=1166 current_l2=1177 current_l3=1188 "
                        "current_dc_1=1413 current_dc_2=1416"
                    ),
                ),
                (
                    "i16",
                    0.1,
                    (
                        "power=1157 reactive_power=1158 apparent_power=1159 power_l1=1167 "
                        "power_l2=1178 power_l3=1189 power_load=1199"
                    ),
                ),
                (
                    "i16",
                    -0.1,
                    (
                        "power_grid=1160 power_grid_l1=1171 power_grid_l2=1182 power_grid_l3=1193 "
                        "power_battery=1542"
                    ),
                ),
                (
                    "u16",
                    10,
                    (
                        "voltage_l1=1165 voltage_l2=1176 voltage_l3=1187 voltage_dc_1=1412 "
                        "voltage_dc_2=1415 voltage_battery=1540"
                    ),
                ),
                ("u16", 0.1, "power_dc_1=1414 power_dc_2=1417"),
                ("i16", -100, "current_battery=1541"),
                ("i16", 1, "temperature_battery=1543"),
                ("u16", 1, "state_of_charge=1544 state_of_health=1545"),
                (
                    "u32",
                    10,
                    (
                        "energy_load=1674 energy_export=1682 energy_battery_charged=1686 "
                        "energy_battery_discharged=1690 energy_import=1678 energy_dc_produced=1670"
                    ),
                ),
            ],
        ),
    ],
    "sofar_ktl": [
        Listing(
            "holding",
            rows=[
                (
                    "u16",
                    10,
                    "voltage_dc_1=6 voltage_dc_2=8 voltage_l1=15 voltage_l2=17 voltage_l3=19",
                ),
                (
                    "u16",
                    100,
                    (
                        "current_dc_1=7 current_dc_2=9 frequency=14 current_l1=16 current_l2=18 "
                        "current_l3=20"
                    ),
                ),
                ("u16", 0.1, "power_dc_1=10 power_dc_2=11 power=12"),
                ("u32", 1, "energy_produced=21"),
                ("i16", 1, "temperature_heat_sink=27 temperature_cabinet=28"),
            ],
        ),
    ],
    "sofar_hyd_es": [
        Listing(
            "holding",
            rows=[
                ("u16", 10, "voltage_l1=518 voltage_battery=526 voltage_dc_1=592 voltage_dc_2=595"),
                ("i16", 100, "current_l1=519"),
                ("u16", 100, "frequency=524 current_dc_1=593 current_dc_2=596"),
                ("i16", -100, "current_battery=527"),
                ("u16", 1, "state_of_charge=528"),
                ("i16", 1, "temperature_battery=529"),
                (
                    "u32",
                    1,
                    "energy_produced=540 energy_export=542 energy_import=544 energy_load=546",
                ),
            ],
        ),
    ],
    "deye_hybrid_1p": [
        Listing(
            "holding",
            rows=[
                (
                    "u16",
                    10,
                    (
                        "voltage_dc_1=109 current_dc_1=110 voltage_dc_2=111 current_dc_2=112 "
                        "voltage_l1=150"
                    ),
                ),
                ("i16", 1, "power=175 power_grid=169 power_load=178 power_battery=190"),
                ("u16", 1, "power_dc_1=186 power_dc_2=187 state_of_charge=184"),
                ("i16", 100, "current_l1=164 current_battery=191"),
                ("u16", 100, "frequency=79 voltage_battery=183"),
            ],
        ),
        Listing(
            "holding",
            word_order="little",
            rows=[
                (
                    "u32",
                    10,
                    (
                        "energy_dc_produced=96 energy_battery_charged=72 "
                        "energy_battery_discharged=74 energy_export=81 energy_load=85"
                    ),
                ),
            ],
        ),
    ],
    "deye_string": [
        Listing(
            "holding",
            rows=[
                (
                    "u16",
                    10,
                    (
                        "voltage_dc_1=109 current_dc_1=110 voltage_dc_2=111 current_dc_2=112 "
                        "voltage_l1=73 voltage_l2=74 voltage_l3=75"
                    ),
                ),
                ("i16", 10, "current_l1=76 current_l2=77 current_l3=78"),
                ("u16", 100, "frequency=79"),
            ],
        ),
        Listing(
            "holding",
            word_order="little",
            rows=[
                ("u32", 10, "power=86 energy_produced=63"),
            ],
        ),
    ],
    "deye_micro": [
        Listing(
            "holding",
            rows=[
                (
                    "u16",
                    10,
                    (
                        "voltage_dc_1=109 current_dc_1=110 voltage_dc_2=111 current_dc_2=112 "
                        "voltage_dc_3=113 current_dc_3=114 voltage_dc_4=115 current_dc_4=116 "
                        "voltage=73"
                    ),
                ),
                ("i16", 10, "current=76"),
                ("u16", 100, "frequency=79"),
            ],
        ),
        Listing(
            "holding",
            word_order="little",
            rows=[
                ("u32", 10, "power=86 energy_produced=63"),
            ],
        ),
    ],
    "fox_ess_h3": [
        Listing(
            "holding",
            rows=[
                ("u16", 10, "voltage_l1=31006 voltage_l2=31007 voltage_l3=31008"),
                (
                    "i16",
                    10,
                    (
                        "current_l1=31009 current_l2=31010 current_l3=31011 "
                        "temperature_cabinet=31032 voltage_battery=31034 current_battery=31035 "
                        "temperature_battery=31037 voltage_dc_1=31000 current_dc_1=31001 "
                        "voltage_dc_2=31003 current_dc_2=31004"
                    ),
                ),
                (
                    "i16",
                    1,
                    (
                        "power_l1=31012 power_l2=31013 power_l3=31014 power_battery=31036 "
                        "power_load_l1=31029 power_load_l2=31030 power_load_l3=31031 "
                        "power_dc_1=31002 power_dc_2=31005"
                    ),
                ),
                ("u16", 100, "frequency=31015"),
                (
                    "u32",
                    10,
                    (
                        "energy_produced=32015 energy_export=32009 energy_import=32012 "
                        "energy_battery_charged=32003 energy_battery_discharged=32006 "
                        "energy_load=32021 energy_dc_produced=32000"
                    ),
                ),
                ("i16", -1, "power_grid_l1=31026 power_grid_l2=31027 power_grid_l3=31028"),
                ("u16", 1, "state_of_charge=31038"),
            ],
        ),
    ],
    "fox_ess_h3_smart": [
        Listing(
            "holding",
            rows=[
                (
                    "u16",
                    10,
                    "voltage_l1=39123 voltage_l2=39124 voltage_l3=39125 voltage_battery=37609",
                ),
                ("i32", 1000, "current_l1=39126 current_l2=39128 current_l3=39130"),
                (
                    "i32",
                    1,
                    (
                        "power_l1=39248 power_l2=39250 power_l3=39252 power_battery=39237 "
                        "power_load_l1=39219 power_load_l2=39221 power_load_l3=39223 "
                        "power_load=39225 power_dc_1=39279 power_dc_2=39281 power_dc_3=39283 "
                        "power_dc_4=39285"
                    ),
                ),
                ("u16", 100, "frequency=39139"),
                (
                    "i16",
                    10,
                    (
                        "temperature_cabinet=39141 temperature_battery=37611 voltage_dc_1=39070 "
                        "voltage_dc_2=39072 voltage_dc_3=39074 voltage_dc_4=39076"
                    ),
                ),
                (
                    "u32",
                    100,
                    (
                        "energy_produced=39621 energy_export=39613 energy_import=39617 "
                        "energy_battery_charged=39605 energy_battery_discharged=39609 "
                        "energy_load=39629 energy_dc_produced=39601"
                    ),
                ),
                ("i32", -10, "power_grid_l1=38816 power_grid_l2=38818 power_grid_l3=38820"),
                ("u16", 1, "state_of_charge=37612"),
                (
                    "i16",
                    100,
                    ("current_dc_1=39071 current_dc_2=39073 current_dc_3=39075 current_dc_4=39077"),
                ),
            ],
        ),
    ],
    "fox_ess_h1": [
        Listing(
            "holding",
            rows=[
                (
                    "i16",
                    1,
                    (
                        "power_dc_1=31002 power_dc_2=31005 power_battery=31022 power=31008 "
                        "power_load=31016"
                    ),
                ),
                ("u16", 1, "state_of_charge=31024"),
                (
                    "i16",
                    10,
                    (
                        "voltage_dc_1=31000 current_dc_1=31001 voltage_dc_2=31003 "
                        "current_dc_2=31004 current=31007 temperature_cabinet=31018 "
                        "voltage_battery=31020 current_battery=31021 temperature_battery=31023"
                    ),
                ),
                ("u16", 10, "voltage=31006"),
                ("u16", 100, "frequency=31009"),
                ("i16", -1, "power_grid=31014"),
            ],
        ),
    ],
    "alpha_ess_smile": [
        Listing(
            "holding",
            rows=[
                (
                    "u16",
                    10,
                    (
                        "voltage_l1=1024 voltage_l2=1025 voltage_l3=1026 temperature_cabinet=1077 "
                        "voltage_battery=256 state_of_charge=258 voltage_dc_1=1053 "
                        "current_dc_1=1054 voltage_dc_2=1057 current_dc_2=1058 voltage_dc_3=1061 "
                        "current_dc_3=1062"
                    ),
                ),
                ("i32", 1, "power_l1=1030 power_l2=1032 power_l3=1034 power=1036 power_grid=33"),
                ("u16", 100, "frequency=1052"),
                ("u32", 100, "energy_export=16 energy_import=18"),
                ("i16", 10, "current_battery=257 current_l1=1027 current_l2=1028 current_l3=1029"),
                (
                    "u32",
                    10,
                    (
                        "energy_battery_charged=288 energy_battery_discharged=290 "
                        "energy_dc_produced=1086"
                    ),
                ),
                ("i16", 1, "power_battery=294"),
                ("u32", 1, "power_dc_1=1055 power_dc_2=1059 power_dc_3=1063"),
            ],
        ),
    ],
    "e3dc_hauskraftwerk": [
        Listing(
            "holding",
            word_order="little",
            rows=[
                ("i32", 1, "power_dc=40067 power_grid=40073 power_load=40071"),
                ("i32", -1, "power_battery=40069"),
            ],
        ),
        Listing(
            "holding",
            rows=[
                (
                    "u16",
                    1,
                    (
                        "state_of_charge=40082 voltage_dc_1=40095 voltage_dc_2=40096 "
                        "voltage_dc_3=40097 power_dc_1=40101 power_dc_2=40102 power_dc_3=40103"
                    ),
                ),
                ("u16", 100, "current_dc_1=40098 current_dc_2=40099 current_dc_3=40100"),
            ],
        ),
    ],
    "sma_home_manager": [
        Listing(
            "holding",
            rows=[
                ("i32", 1000, "current_l1=31435 current_l2=31437 current_l3=31439"),
                (
                    "i32",
                    1,
                    (
                        "power_import=30865 power_export=30867 reactive_power_l1=31271 "
                        "reactive_power_l2=31273 reactive_power_l3=31275 reactive_power=31277"
                    ),
                ),
                ("u32", 1000, "energy_import=30581 energy_export=30583"),
                ("u32", 100, "voltage_l1=31253 voltage_l2=31255 voltage_l3=31257"),
            ],
        ),
    ],
    "victron_gx": [
        Listing(
            "input",
            rows=[
                ("i16", 1, "power_grid_l1=820 power_grid_l2=821 power_grid_l3=822"),
                ("u16", 10, "voltage_battery=840"),
                ("i16", -10, "current_battery=841"),
                ("i16", -1, "power_battery=842"),
                (
                    "u16",
                    1,
                    (
                        "state_of_charge=843 power_load_l1=817 power_load_l2=818 power_load_l3=819 "
                        "power_dc=850"
                    ),
                ),
            ],
        ),
    ],
    "victron_gx_grid_meter": [
        Listing(
            "holding",
            rows=[
                ("i16", 10, "current_l1=2617 current_l2=2619 current_l3=2621"),
                ("i16", 1, "power_l1=2600 power_l2=2601 power_l3=2602"),
                ("u16", 10, "voltage_l1=2616 voltage_l2=2618 voltage_l3=2620"),
                (
                    "u32",
                    100,
                    (
                        "energy_import_l1=2622 energy_import_l2=2624 energy_import_l3=2626 "
                        "energy_export_l1=2628 energy_export_l2=2630 energy_export_l3=2632"
                    ),
                ),
            ],
        ),
    ],
    "varta_element": [
        Listing(
            "holding",
            rows=[
                ("i16", -1, "power_grid=1078 power_battery=1066"),
                ("u16", 1, "state_of_charge=1068"),
            ],
        ),
        Listing(
            "holding",
            word_order="little",
            rows=[
                ("u32", 1000, "energy_battery_charged=1069"),
            ],
        ),
    ],
    "solarmax_maxstorage": [
        Listing(
            "input",
            word_order="little",
            rows=[
                ("i32", -1, "power_battery=114"),
            ],
        ),
        Listing(
            "input",
            rows=[
                ("u16", 1, "state_of_charge=122"),
            ],
        ),
    ],
    "saj_r5": [
        Listing(
            "holding",
            rows=[
                (
                    "u16",
                    1,
                    (
                        "power=275 power_dc_1=265 power_dc_2=268 power_dc_3=271 power_l1=282 "
                        "power_l2=288 power_l3=294"
                    ),
                ),
                ("u32", 100, "energy_produced=305"),
                (
                    "u16",
                    10,
                    (
                        "voltage_dc_1=263 voltage_dc_2=266 voltage_dc_3=269 voltage_l1=278 "
                        "voltage_l2=284 voltage_l3=290"
                    ),
                ),
                (
                    "u16",
                    100,
                    (
                        "current_dc_1=264 current_dc_2=267 current_dc_3=270 current_l1=279 "
                        "current_l2=285 current_l3=291 frequency=280"
                    ),
                ),
                ("i16", 10, "temperature_cabinet=273"),
                ("i16", 1, "reactive_power=276"),
                ("i16", 1000, "power_factor=277"),
            ],
        ),
    ],
    "sigenergy": [
        Listing(
            "holding",
            rows=[
                (
                    "i32",
                    1,
                    (
                        "power_grid=30005 power_grid_l1=30052 power_grid_l2=30054 "
                        "power_grid_l3=30056 power_dc=30035 power=30031 reactive_power=30033 "
                        "power_load=30284"
                    ),
                ),
                ("i32", -1, "power_battery=30037"),
                ("u16", 10, "state_of_charge=30014 state_of_health=30087"),
                ("u32", 100, "energy_capacity=30083"),
                (
                    "u64",
                    100,
                    (
                        "energy_dc_produced=30088 energy_load=30094 energy_battery_charged=30200 "
                        "energy_battery_discharged=30204 energy_import=30216 energy_export=30220"
                    ),
                ),
            ],
        ),
    ],
    "sungrow_ihomemanager": [
        Listing(
            "input",
            word_order="little",
            rows=[
                ("i32", 0.1, "power_grid=8156 power_battery=8160 power=8154"),
                ("i32", 1, "power_grid_l1=8558 power_grid_l2=8560 power_grid_l3=8562"),
                ("u32", 10, "energy_import=8175 energy_export=8177"),
            ],
        ),
        Listing(
            "input",
            rows=[
                ("u16", 10, "state_of_charge=8162"),
            ],
        ),
    ],
    "abb_m4m": [
        Listing(
            "holding",
            rows=[
                (
                    "u32",
                    10,
                    (
                        "voltage_l1=23298 voltage_l2=23300 voltage_l3=23302 voltage_l1_l2=23304 "
                        "voltage_l2_l3=23306 voltage_l3_l1=23308"
                    ),
                ),
                ("u32", 100, "current_l1=23312 current_l2=23314 current_l3=23316 current_n=23318"),
                (
                    "i32",
                    100,
                    (
                        "power=23322 power_l1=23324 power_l2=23326 power_l3=23328 "
                        "reactive_power=23330 reactive_power_l1=23332 reactive_power_l2=23334 "
                        "reactive_power_l3=23336 apparent_power=23338 apparent_power_l1=23340 "
                        "apparent_power_l2=23342 apparent_power_l3=23344"
                    ),
                ),
                ("u16", 100, "frequency=23346"),
                (
                    "i16",
                    1000,
                    (
                        "power_factor=23360 power_factor_l1=23361 power_factor_l2=23362 "
                        "power_factor_l3=23363"
                    ),
                ),
                (
                    "u64",
                    100,
                    (
                        "energy_import_l1=21600 energy_import_l2=21604 energy_import_l3=21608 "
                        "energy_export_l1=21612 energy_export_l2=21616 energy_export_l3=21620 "
                        "reactive_energy_import_l1=21636 reactive_energy_import_l2=21640 "
                        "reactive_energy_import_l3=21644 reactive_energy_export_l1=21648 "
                        "reactive_energy_export_l2=21652 reactive_energy_export_l3=21656 "
                        "energy_import=20480 energy_export=20484 reactive_energy_import=20492 "
                        "reactive_energy_export=20496 apparent_energy_import=20504 "
                        "apparent_energy_export=20508"
                    ),
                ),
                (
                    "i64",
                    100,
                    (
                        "energy_net_l1=21624 energy_net_l2=21628 energy_net_l3=21632 "
                        "reactive_energy_net_l1=21660 reactive_energy_net_l2=21664 "
                        "reactive_energy_net_l3=21668 energy_net=20488 reactive_energy_net=20500"
                    ),
                ),
            ],
        ),
    ],
    "acrel_adw300": [
        Listing(
            "holding",
            rows=[
                ("u16", 100, "current_l1=26 current_l2=27 current_l3=28"),
                ("i32", 1, "power=36"),
            ],
        ),
    ],
    "acrel_adl400": [
        Listing(
            "holding",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "voltage_l1=2048 voltage_l2=2050 voltage_l3=2052 current_l1=2060 "
                        "current_l2=2062 current_l3=2064 power_factor=2098 frequency=2100"
                    ),
                ),
                ("f32", 0.001, "power_l1=2068 power_l2=2070"),
                ("u32", 10, "energy_sum=2114 energy_import=2124 energy_export=2134"),
            ],
        ),
    ],
    "wattnode_wnc": [
        Listing(
            "holding",
            word_order="little",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "power=1008 power_l1=1010 power_l2=1012 power_l3=1014 voltage_l1=1018 "
                        "voltage_l2=1020 voltage_l3=1022 voltage_l1_l2=1026 voltage_l2_l3=1028 "
                        "voltage_l3_l1=1030 frequency=1032 energy_net_l1=1100 energy_net_l2=1102 "
                        "energy_net_l3=1104 energy_import_l1=1106 energy_import_l2=1108 "
                        "energy_import_l3=1110 energy_export_l1=1116 energy_export_l2=1118 "
                        "energy_export_l3=1120 energy_net=1004 energy_import=1006 "
                        "energy_export=1114 reactive_energy_net=1122 power_factor=1138 "
                        "power_factor_l1=1140 power_factor_l2=1142 power_factor_l3=1144 "
                        "reactive_power=1146 reactive_power_l1=1148 reactive_power_l2=1150 "
                        "reactive_power_l3=1152 apparent_power=1154 apparent_power_l1=1156 "
                        "apparent_power_l2=1158 apparent_power_l3=1160 current_l1=1162 "
                        "current_l2=1164 current_l3=1166 voltage_ln_average=1016 "
                        "voltage_ll_average=1024 reactive_energy_net_l1=1124 "
                        "reactive_energy_net_l2=1126 reactive_energy_net_l3=1128 "
                        "apparent_energy=1130 apparent_energy_l1=1132 apparent_energy_l2=1134 "
                        "apparent_energy_l3=1136 power_demand=1168 power_demand_max=1172"
                    ),
                ),
            ],
        ),
    ],
    "ziehl_efr4001ip": [
        Listing(
            "holding",
            word_order="little",
            rows=[
                ("i32", 10, "voltage_l1=176 voltage_l2=178 voltage_l3=180"),
                ("i32", 1000, "current_l1=182 current_l2=184 current_l3=186"),
                ("i32", 1, "power_l1=188 power_l2=190 power_l3=192 power=194"),
                ("i32", 100, "frequency=218"),
            ],
        ),
    ],
    "iammeter_wem3080t": [
        Listing(
            "holding",
            rows=[
                (
                    "u16",
                    100,
                    (
                        "voltage_l1=0 voltage_l2=10 voltage_l3=20 current_l1=1 current_l2=11 "
                        "current_l3=21 frequency=30"
                    ),
                ),
                ("i32", 1, "power_l1=2 power_l2=12 power_l3=22 power=32"),
                (
                    "u32",
                    800,
                    (
                        "energy_import_l1=4 energy_import_l2=14 energy_import_l3=24 "
                        "energy_export_l1=6 energy_export_l2=16 energy_export_l3=26 "
                        "energy_import=34 energy_export=36"
                    ),
                ),
                ("u16", 1000, "power_factor_l1=8 power_factor_l2=18 power_factor_l3=28"),
            ],
        ),
    ],
    "selec_mfm384": [
        Listing(
            "input",
            word_order="little",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "voltage_l1=0 voltage_l2=2 voltage_l3=4 voltage_l1_l2=8 "
                        "voltage_l2_l3=10 voltage_l3_l1=12 power_factor=54"
                    ),
                ),
            ],
        ),
    ],
    "bcontrol_em300": [
        Listing(
            "holding",
            rows=[
                (
                    "u32",
                    1000,
                    (
                        "voltage_l1=62 voltage_l2=102 voltage_l3=142 current_l1=60 current_l2=100 "
                        "current_l3=140 frequency=26"
                    ),
                ),
                (
                    "u64",
                    10000,
                    (
                        "energy_import=512 energy_export=516 energy_import_l1=592 "
                        "energy_import_l2=672 energy_import_l3=752 energy_export_l1=596 "
                        "energy_export_l2=676 energy_export_l3=756"
                    ),
                ),
                ("u32", 10, "power_import=0 power_export=2"),
            ],
        ),
    ],
    "camille_bauer_aplus": [
        Listing(
            "holding",
            word_order="little",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "voltage_l1=101 voltage_l2=103 voltage_l3=105 current_l1=117 "
                        "current_l2=119 current_l3=121 power=133 power_l1=135 power_l2=137 "
                        "power_l3=139 reactive_power=141 reactive_power_l1=143 "
                        "reactive_power_l2=145 reactive_power_l3=147 frequency=157"
                    ),
                ),
            ],
        ),
    ],
    "victron_vm_3p75ct": [
        Listing(
            "holding",
            rows=[
                ("i32", 1, "power_l1=12418 power_l2=12422 power_l3=12426"),
                (
                    "i16",
                    100,
                    (
                        "current_l1=12353 current_l2=12361 current_l3=12369 voltage_l1=12352 "
                        "voltage_l2=12360 voltage_l3=12368"
                    ),
                ),
                ("i16", 1000, "power_factor_l1=12359 power_factor_l2=12367 power_factor_l3=12375"),
                ("u16", 100, "frequency=12338"),
                ("u32", 100, "energy_export=12342 energy_import=12340"),
            ],
        ),
    ],
    "victron_vm_3p5a": [
        Listing(
            "holding",
            rows=[
                ("i32", 1, "power_l1=12418 power_l2=12422 power_l3=12426"),
                ("i16", 100, "voltage_l1=12352 voltage_l2=12360 voltage_l3=12368"),
                ("i16", 1000, "power_factor_l1=12359 power_factor_l2=12367 power_factor_l3=12375"),
                ("u16", 100, "frequency=12338"),
                ("u32", 100, "energy_export=12342 energy_import=12340"),
            ],
        ),
    ],
    "accuenergy_acuvim_ii": [
        Listing(
            "holding",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "frequency=16384 voltage_l1=16386 voltage_l2=16388 voltage_l3=16390 "
                        "power_l1=16412 power_l2=16414 power_l3=16416 power=16418 "
                        "reactive_power=16426 current_average=16408 voltage_ll_average=16400 "
                        "power_factor=16442 apparent_power_l1=16428 apparent_power_l2=16430 "
                        "apparent_power_l3=16432 apparent_power=16434"
                    ),
                ),
                ("u32", 10, "energy_import=16456 energy_export=16458"),
            ],
        ),
    ],
    "fox_ess_h1_rs485": [
        Listing(
            "input",
            rows=[
                (
                    "i16",
                    10,
                    (
                        "voltage_dc_1=11000 current_dc_1=11001 voltage_dc_2=11003 "
                        "current_dc_2=11004 voltage_battery=11006 current_battery=11007 "
                        "current=11010 temperature_cabinet=11024 temperature_battery=11038"
                    ),
                ),
                (
                    "i16",
                    1,
                    (
                        "power_dc_1=11002 power_dc_2=11005 power_battery=11008 power=11011 "
                        "reactive_power=11012 apparent_power=11013 power_load=11023"
                    ),
                ),
                ("u16", 10, "voltage=11009"),
                ("u16", 100, "frequency=11014"),
                ("i16", -1, "power_grid=11021"),
                ("u16", 1, "state_of_charge=11036"),
                (
                    "u32",
                    10,
                    (
                        "energy_dc_produced=11069 energy_battery_charged=11072 "
                        "energy_battery_discharged=11075 energy_export=11078 energy_import=11081 "
                        "energy_produced=11084"
                    ),
                ),
            ],
        ),
    ],
    "fox_ess_kh": [
        Listing(
            "holding",
            rows=[
                ("u16", 10, "voltage=31006"),
                (
                    "i16",
                    10,
                    (
                        "current=31007 temperature_cabinet=31018 voltage_battery=31020 "
                        "current_battery=31021 voltage_dc_1=39070 voltage_dc_2=39072 "
                        "voltage_dc_3=39074 voltage_dc_4=39076"
                    ),
                ),
                ("u16", 100, "frequency=31009"),
                ("i16", 1, "power_battery=31022"),
                ("u16", 1, "state_of_charge=31024"),
                ("i32", 1, "power_dc_1=39279 power_dc_2=39281 power_dc_3=39283 power_dc_4=39285"),
                (
                    "u32",
                    10,
                    (
                        "energy_dc_produced=32000 energy_battery_charged=32003 "
                        "energy_battery_discharged=32006 energy_export=32009 energy_import=32012 "
                        "energy_produced=32015 energy_load=32021"
                    ),
                ),
            ],
        ),
    ],
    "fox_ess_h1_g2": [
        Listing(
            "holding",
            rows=[
                ("u16", 10, "voltage=31006"),
                (
                    "i16",
                    10,
                    (
                        "current=31007 temperature_cabinet=31018 voltage_battery=31020 "
                        "current_battery=31021 voltage_dc_1=39070 voltage_dc_2=39072"
                    ),
                ),
                ("u16", 100, "frequency=31009"),
                ("i16", 1, "power=31008 power_load=31016 power_battery=31022"),
                ("i16", -1, "power_grid=31014"),
                ("u16", 1, "state_of_charge=31024"),
                ("i16", 100, "current_dc_1=39071 current_dc_2=39073"),
                (
                    "u32",
                    10,
                    (
                        "energy_dc_produced=32000 energy_battery_charged=32003 "
                        "energy_battery_discharged=32006 energy_export=32009 energy_import=32012 "
                        "energy_produced=32015 energy_load=32021"
                    ),
                ),
            ],
        ),
    ],
    "solinteg_mht": [
        Listing(
            "holding",
            rows=[
                (
                    "u16",
                    10,
                    (
                        "voltage_l1=11009 current_l1=11010 voltage_l2=11011 current_l2=11012 "
                        "voltage_l3=11013 current_l3=11014 voltage_battery=30254 "
                        "voltage_dc_1=11038 current_dc_1=11039 voltage_dc_2=11040 "
                        "current_dc_2=11041 temperature_battery=33003"
                    ),
                ),
                ("i32", 1, "power=11016 power_battery=30258"),
                (
                    "i32",
                    -1,
                    (
                        "power_grid_l1=10994 power_grid_l2=10996 power_grid_l3=10998 "
                        "power_grid=11000"
                    ),
                ),
                ("u32", 100, "energy_export=11002 energy_import=11004"),
                (
                    "u32",
                    10,
                    (
                        "energy_produced=11020 energy_battery_charged=31108 "
                        "energy_battery_discharged=31110 energy_dc_produced=31112"
                    ),
                ),
                ("u32", 1, "power_dc=11028 power_dc_1=11062 power_dc_2=11064"),
                ("u16", 100, "state_of_charge=33000 state_of_health=33001 frequency=11015"),
            ],
        ),
    ],
    "sma_hybrid": [
        Listing(
            "holding",
            rows=[
                (
                    "i32",
                    1,
                    (
                        "power=30775 power_import=30865 power_export=30867 power_dc_1=30773 "
                        "power_dc_2=30961 power_dc_3=30967 power_l1=30777 power_l2=30779 "
                        "power_l3=30781"
                    ),
                ),
                (
                    "u64",
                    1000,
                    (
                        "energy_produced=30513 energy_battery_charged=31397 "
                        "energy_battery_discharged=31401"
                    ),
                ),
                ("u32", 1, "state_of_charge=30845"),
                ("i32", 10, "temperature_battery=30849"),
                (
                    "u32",
                    100,
                    (
                        "voltage_battery=30851 voltage_l1=30783 voltage_l2=30785 voltage_l3=30787 "
                        "frequency=30803"
                    ),
                ),
                ("u32", 1000, "energy_import=30581 energy_export=30583"),
                ("i32", 100, "voltage_dc_1=30771 voltage_dc_2=30959"),
                (
                    "i32",
                    1000,
                    (
                        "current_dc_1=30769 current_dc_2=30957 current_l1=30977 current_l2=30979 "
                        "current_l3=30981"
                    ),
                ),
            ],
        ),
    ],
    "wattsonic_gen2": [
        Listing(
            "holding",
            rows=[
                (
                    "u16",
                    10,
                    (
                        "voltage_l1=11009 current_l1=11010 voltage_l2=11011 current_l2=11012 "
                        "voltage_l3=11013 current_l3=11014 voltage_battery=40254 "
                        "voltage_dc_1=11038 current_dc_1=11039 voltage_dc_2=11040 "
                        "current_dc_2=11041"
                    ),
                ),
                ("i32", 1, "power=11016 power_battery=40258"),
                (
                    "i32",
                    -1,
                    (
                        "power_grid_l1=10994 power_grid_l2=10996 power_grid_l3=10998 "
                        "power_grid=11000"
                    ),
                ),
                ("u32", 100, "energy_export=11002 energy_import=11004"),
                ("u32", 10, "energy_produced=11020"),
                ("u32", 1, "power_dc=11028 power_dc_1=11062 power_dc_2=11064"),
                ("u16", 100, "state_of_charge=43000 state_of_health=43001 frequency=11015"),
            ],
        ),
    ],
    "marstek_venus_e": [
        Listing(
            "holding",
            rows=[
                ("i32", 1, "power=32202"),
                ("u16", 1, "state_of_charge=32104"),
                ("u32", 100, "energy_battery_discharged=33002"),
            ],
        ),
    ],
    "marstek_venus_e_v3": [
        Listing(
            "holding",
            rows=[
                ("i16", 1, "power=30006"),
                ("u16", 10, "state_of_charge=34002"),
                ("u32", 100, "energy_battery_discharged=33002"),
            ],
        ),
    ],
    "hiking_dds238": [
        Listing(
            "holding",
            rows=[
                ("u32", 100, "energy_sum=0 energy_export=8 energy_import=10"),
                ("u16", 10, "voltage=12"),
                ("u16", 100, "current=13 frequency=17"),
                ("i16", 1, "power=14"),
                ("u16", 1, "reactive_power=15"),
            ],
        ),
    ],
    "ziehl_efr4000ip": [
        Listing(
            "holding",
            word_order="little",
            rows=[
                ("i32", 10, "voltage_l1=0 voltage_l2=2 voltage_l3=4"),
                ("i32", 1000, "current_l1=6 current_l2=8 current_l3=10"),
                ("i32", 1, "power_l1=12 power_l2=14 power_l3=16 power=18"),
            ],
        ),
    ],
    "pqplus_umd": [
        Listing(
            "input",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "voltage_l1=19000 voltage_l2=19002 voltage_l3=19004 current_l1=19012 "
                        "current_l2=19014 current_l3=19016 power_l1=19020 power_l2=19022 "
                        "power_l3=19024 power=19026 reactive_power_l1=19036 "
                        "reactive_power_l2=19038 reactive_power_l3=19040 reactive_power=19042 "
                        "frequency=19050 voltage_l1_l2=19006 voltage_l2_l3=19008 "
                        "voltage_l3_l1=19010 apparent_power_l1=19028 apparent_power_l2=19030 "
                        "apparent_power_l3=19032 apparent_power=19034"
                    ),
                ),
            ],
        ),
    ],
    "wattnode_wnd": [
        Listing(
            "holding",
            word_order="little",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "power=1008 power_l1=1010 power_l2=1012 power_l3=1014 voltage_l1=1018 "
                        "voltage_l2=1020 voltage_l3=1022 voltage_l1_l2=1026 voltage_l2_l3=1028 "
                        "voltage_l3_l1=1030 frequency=1032 energy_net_l1=1100 energy_net_l2=1102 "
                        "energy_net_l3=1104 energy_import_l1=1106 energy_import_l2=1108 "
                        "energy_import_l3=1110 energy_export_l1=1116 energy_export_l2=1118 "
                        "energy_export_l3=1120 energy_net=1004 energy_import=1006 "
                        "energy_export=1114 reactive_energy_net=1122 power_factor=1138 "
                        "power_factor_l1=1140 power_factor_l2=1142 power_factor_l3=1144 "
                        "reactive_power=1146 reactive_power_l1=1148 reactive_power_l2=1150 "
                        "reactive_power_l3=1152 apparent_power=1154 apparent_power_l1=1156 "
                        "apparent_power_l2=1158 apparent_power_l3=1160 current_l1=1162 "
                        "current_l2=1164 current_l3=1166 voltage_ln_average=1016 "
                        "voltage_ll_average=1024 reactive_energy_net_l1=1124 "
                        "reactive_energy_net_l2=1126 reactive_energy_net_l3=1128 "
                        "apparent_energy=1130 apparent_energy_l1=1132 apparent_energy_l2=1134 "
                        "apparent_energy_l3=1136 power_demand=1168 power_demand_max=1172 "
                        "reactive_energy_import=1188 reactive_energy_import_l1=1182 "
                        "reactive_energy_import_l2=1184 reactive_energy_import_l3=1186 "
                        "reactive_energy_export=1196 reactive_energy_export_l1=1190 "
                        "reactive_energy_export_l2=1192 reactive_energy_export_l3=1194"
                    ),
                ),
            ],
        ),
    ],
}

# By the first source, as the second does not have them.
FIRST_SOURCE: dict[str, list[Listing]] = {
    "huawei_emma": [
        Listing(
            "holding",
            rows=[
                ("u64", 100, "energy_export=30332 energy_import=30338 energy_load=30326"),
            ],
        ),
    ],
    "solis_string": [
        Listing(
            "input",
            rows=[
                ("u32", 1, "power_dc=3006"),
                (
                    "u16",
                    10,
                    "voltage_dc_3=3025 current_dc_3=3026 voltage_dc_4=3027 current_dc_4=3028",
                ),
            ],
        ),
    ],
    "solax_x3_hybrid": [
        Listing(
            "input",
            word_order="little",
            rows=[
                ("i32", -1, "power_grid_l1=130 power_grid_l2=132 power_grid_l3=134"),
            ],
        ),
    ],
    "kostal_plenticore": [
        Listing(
            "holding",
            word_order="little",
            rows=[
                ("f32", 1000, "energy_battery_charged=1046 energy_battery_discharged=1048"),
            ],
        ),
    ],
    "sofar_hyd_es": [
        Listing(
            "holding",
            rows=[
                ("u32", 1, "energy_battery_charged=550 energy_battery_discharged=552"),
            ],
        ),
    ],
    "deye_string": [
        Listing(
            "holding",
            word_order="little",
            rows=[
                ("u32", 10, "apparent_power=84"),
            ],
        ),
    ],
    "fox_ess_h3_smart": [
        Listing(
            "holding",
            rows=[
                ("i32", 1, "power=39134 reactive_power=39136"),
                ("i32", -10, "power_grid=38814"),
            ],
        ),
    ],
    "sma_home_manager": [
        Listing(
            "holding",
            rows=[
                ("u32", 100, "frequency=31447"),
            ],
        ),
    ],
    "varta_element": [
        Listing(
            "holding",
            rows=[
                ("u16", 10, "frequency=1082"),
            ],
        ),
    ],
    "solarmax_maxstorage": [
        Listing(
            "input",
            word_order="little",
            rows=[
                ("u32", 1, "power_dc=112 power=120"),
                ("i32", -1, "power_grid=118"),
            ],
        ),
    ],
    "sungrow_ihomemanager": [
        Listing(
            "input",
            word_order="little",
            rows=[
                ("i32", 0.1, "power_load=8158"),
            ],
        ),
        Listing(
            "input",
            rows=[
                ("u16", 10, "frequency=8557"),
            ],
        ),
    ],
    "abb_m4m": [
        Listing(
            "holding",
            rows=[
                (
                    "u64",
                    100,
                    (
                        "energy_import_t1=20848 energy_import_t2=20852 energy_import_t3=20856 "
                        "energy_import_t4=20860 energy_export_t1=20880 energy_export_t2=20884 "
                        "energy_export_t3=20888 energy_export_t4=20892"
                    ),
                ),
                (
                    "u16",
                    10,
                    (
                        "thd_voltage_l1=23808 thd_voltage_l2=23936 thd_voltage_l3=24064 "
                        "thd_current_l1=24576 thd_current_l2=24704 thd_current_l3=24832 "
                        "thd_current_n=24960"
                    ),
                ),
            ],
        ),
    ],
    "acrel_adw300": [
        Listing(
            "holding",
            rows=[
                ("u16", 10, "voltage_l1=20 voltage_l2=21 voltage_l3=22"),
                ("i32", 1, "power_l1=30 power_l2=32 power_l3=34"),
                ("u32", 100, "energy_import=62 energy_export=64"),
            ],
        ),
    ],
    "acrel_adl400": [
        Listing(
            "holding",
            rows=[
                ("f32", 0.001, "power_l3=2072 power=2074 reactive_power=2082 apparent_power=2090"),
                (
                    "u32",
                    10,
                    (
                        "energy_sum_t1=2116 energy_sum_t2=2118 energy_sum_t3=2120 "
                        "energy_sum_t4=2122 energy_import_t1=2126 energy_import_t2=2128 "
                        "energy_import_t3=2130 energy_import_t4=2132 energy_export_t1=2136 "
                        "energy_export_t2=2138 energy_export_t3=2140 energy_export_t4=2142"
                    ),
                ),
            ],
        ),
    ],
    "ziehl_efr4001ip": [
        Listing(
            "holding",
            word_order="little",
            rows=[
                (
                    "i32",
                    1,
                    (
                        "apparent_power_l1=196 apparent_power_l2=198 apparent_power_l3=200 "
                        "apparent_power=202 reactive_power_l1=204 reactive_power_l2=206 "
                        "reactive_power_l3=208 reactive_power=210"
                    ),
                ),
                ("i32", 10000, "power_factor_l1=212 power_factor_l2=214 power_factor_l3=216"),
                (
                    "i32",
                    -1000,
                    (
                        "energy_export_l1=342 energy_export_l2=344 energy_export_l3=346 "
                        "energy_export=348"
                    ),
                ),
                (
                    "i32",
                    1000,
                    (
                        "energy_import_l1=350 energy_import_l2=352 energy_import_l3=354 "
                        "energy_import=356"
                    ),
                ),
            ],
        ),
    ],
    "iammeter_wem3080t": [
        Listing(
            "holding",
            rows=[
                ("i32", 1, "reactive_power_l1=38 reactive_power_l2=44 reactive_power_l3=50"),
                (
                    "u32",
                    1000,
                    (
                        "reactive_energy_inductive_l1=40 reactive_energy_inductive_l2=46 "
                        "reactive_energy_inductive_l3=52 reactive_energy_capacitive_l1=42 "
                        "reactive_energy_capacitive_l2=48 reactive_energy_capacitive_l3=54"
                    ),
                ),
            ],
        ),
    ],
    "iammeter_wem3080": [
        Listing(
            "holding",
            rows=[
                ("u16", 100, "voltage=0 current=1"),
                ("i32", 1, "power=2"),
                ("u32", 3200, "energy_import=4 energy_export=6"),
            ],
        ),
    ],
    "selec_em2m": [
        Listing(
            "input",
            word_order="little",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "energy_sum=0 energy_import=2 energy_export=4 reactive_energy_sum=6 "
                        "reactive_energy_import=8 reactive_energy_export=10 apparent_energy=12 "
                        "voltage=20 current=22 power_factor=24 frequency=26"
                    ),
                ),
                (
                    "f32",
                    0.001,
                    (
                        "power=14 reactive_power=16 apparent_power=18 power_demand_max=28 "
                        "reactive_power_demand_max=30 apparent_power_demand_max=32"
                    ),
                ),
            ],
        ),
    ],
    "selec_mfm384": [
        Listing(
            "input",
            word_order="little",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "current_l1=16 current_l2=18 current_l3=20 power_factor_l1=48 "
                        "power_factor_l2=50 power_factor_l3=52 frequency=56"
                    ),
                ),
                ("f32", 0.001, "power_l1=24 power_l2=26 power_l3=28 power=42"),
            ],
        ),
    ],
    "bcontrol_em300": [
        Listing(
            "holding",
            rows=[
                (
                    "i32",
                    1000,
                    "power_factor=24 power_factor_l1=64 power_factor_l2=104 power_factor_l3=144",
                ),
                (
                    "u64",
                    10000,
                    (
                        "reactive_energy_import=520 reactive_energy_export=524 "
                        "reactive_energy_import_l1=600 reactive_energy_import_l2=680 "
                        "reactive_energy_import_l3=760 reactive_energy_export_l1=604 "
                        "reactive_energy_export_l2=684 reactive_energy_export_l3=764"
                    ),
                ),
            ],
        ),
    ],
    "artemes_am2": [
        Listing(
            "input",
            rows=[
                ("u32", 1000, "voltage_l1=0 voltage_l2=2 voltage_l3=4 frequency=114"),
                ("i32", 1000, "current_l1=14 current_l2=16 current_l3=18"),
                (
                    "i64",
                    1000,
                    (
                        "power_l1=24 power_l2=28 power_l3=32 power=36 reactive_power_l1=56 "
                        "reactive_power_l2=60 reactive_power_l3=64 reactive_power=68"
                    ),
                ),
                ("u64", 10000, "energy_import=1048 energy_export=1052"),
            ],
        ),
    ],
    "camille_bauer_aplus": [
        Listing(
            "holding",
            word_order="little",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "voltage_l1_l2=107 voltage_l2_l3=109 voltage_l3_l1=111 current_n=123 "
                        "apparent_power=149 apparent_power_l1=151 apparent_power_l2=153 "
                        "apparent_power_l3=155 power_factor=159 power_factor_l1=161 "
                        "power_factor_l2=163 power_factor_l3=165 voltage_ln_average=183 "
                        "current_average=185"
                    ),
                ),
            ],
        ),
    ],
    "saia_burgess_ald1": [
        Listing(
            "holding",
            rows=[
                ("u32", 100, "energy_import=27 energy_import_resettable=29"),
                ("u16", 1, "voltage=35"),
                ("u16", 10, "current=36"),
                ("i16", 0.1, "power=37 reactive_power=38"),
                ("i16", 100, "power_factor=39"),
            ],
        ),
    ],
    "saia_burgess_ald1_bidirectional": [
        Listing(
            "holding",
            rows=[
                ("u32", 100, "energy_import=27 energy_export=29"),
                ("u16", 1, "voltage=35"),
                ("u16", 10, "current=36"),
                ("i16", 0.1, "power=37 reactive_power=38"),
                ("i16", 100, "power_factor=39"),
            ],
        ),
    ],
    "victron_vm_3p75ct": [
        Listing(
            "holding",
            rows=[
                (
                    "u32",
                    100,
                    (
                        "energy_import_l1=12354 energy_import_l2=12362 energy_import_l3=12370 "
                        "energy_export_l1=12356 energy_export_l2=12364 energy_export_l3=12372"
                    ),
                ),
                ("i16", 10, "current_n=12345"),
                ("i16", 1000, "power_factor=12346"),
                ("u16", 100, "voltage_l1_l2=12358 voltage_l2_l3=12366 voltage_l3_l1=12374"),
                ("i32", 1, "power=12416"),
            ],
        ),
    ],
    "victron_vm_3p5a": [
        Listing(
            "holding",
            rows=[
                (
                    "u32",
                    100,
                    (
                        "energy_import_l1=12354 energy_import_l2=12362 energy_import_l3=12370 "
                        "energy_export_l1=12356 energy_export_l2=12364 energy_export_l3=12372"
                    ),
                ),
                ("i16", 10, "current_n=12345"),
                ("i16", 1000, "power_factor=12346"),
                ("u16", 100, "voltage_l1_l2=12358 voltage_l2_l3=12366 voltage_l3_l1=12374"),
                ("i32", 1, "power=12416"),
                ("i32", 100, "current_l1=12376 current_l2=12378 current_l3=12380"),
            ],
        ),
    ],
    "elkor_wattson": [
        Listing(
            "holding",
            rows=[
                (
                    "f32",
                    0.001,
                    (
                        "power=770 reactive_power=772 apparent_power=774 power_l1=806 power_l2=808 "
                        "power_l3=810 reactive_power_l1=812 reactive_power_l2=814 "
                        "reactive_power_l3=816 apparent_power_l1=818 apparent_power_l2=820 "
                        "apparent_power_l3=822"
                    ),
                ),
                (
                    "f32",
                    1,
                    (
                        "voltage_ln_average=776 voltage_ll_average=778 current_average=780 "
                        "power_factor=782 frequency=784 voltage_l1=788 voltage_l2=790 "
                        "voltage_l3=792 voltage_l1_l2=794 voltage_l2_l3=796 voltage_l3_l1=798 "
                        "current_l1=800 current_l2=802 current_l3=804 power_factor_l1=824 "
                        "power_factor_l2=826 power_factor_l3=828 energy_import_l1=832 "
                        "energy_import_l2=834 energy_import_l3=836 energy_import=838 "
                        "energy_export_l1=840 energy_export_l2=842 energy_export_l3=844 "
                        "energy_export=846 energy_net_l1=848 energy_net_l2=850 energy_net_l3=852 "
                        "energy_net=854 reactive_energy_import_l1=856 "
                        "reactive_energy_import_l2=858 reactive_energy_import_l3=860 "
                        "reactive_energy_import=862 reactive_energy_export_l1=864 "
                        "reactive_energy_export_l2=866 reactive_energy_export_l3=868 "
                        "reactive_energy_export=870 reactive_energy_net_l1=872 "
                        "reactive_energy_net_l2=874 reactive_energy_net_l3=876 "
                        "reactive_energy_net=878 apparent_energy_l1=880 apparent_energy_l2=882 "
                        "apparent_energy_l3=884 apparent_energy=886"
                    ),
                ),
            ],
        ),
    ],
    "accuenergy_acuvim_ii": [
        Listing(
            "holding",
            rows=[
                ("f32", 1, "current_l1=16402 current_l2=16404 current_l3=16406"),
            ],
        ),
    ],
    "solinteg_mht": [
        Listing(
            "holding",
            rows=[
                ("u32", 1, "power_dc_3=11066 power_dc_4=11068"),
                (
                    "u16",
                    10,
                    ("voltage_dc_3=11042 current_dc_3=11043 voltage_dc_4=11044 current_dc_4=11045"),
                ),
                ("u32", 10, "energy_load=31114"),
            ],
        ),
    ],
    "sma_hybrid": [
        Listing(
            "holding",
            rows=[
                ("i32", 1000, "current_dc_3=30963"),
                ("i32", 100, "voltage_dc_3=30965"),
                ("i32", 10, "temperature_cabinet=30953"),
            ],
        ),
    ],
    "wattsonic_gen2": [
        Listing(
            "holding",
            rows=[
                ("u16", 10, "temperature_battery=43003"),
                ("u32", 10, "energy_battery_charged=41108 energy_battery_discharged=41110"),
            ],
        ),
    ],
    "marstek_venus_e": [
        Listing(
            "holding",
            rows=[
                ("u16", 1000, "energy_capacity=32105"),
                ("u16", 100, "voltage_battery=32100"),
                ("i16", 10, "temperature_cabinet=35000"),
                ("u16", 10, "voltage=32200"),
                ("i16", 100, "current=32201 frequency=32204"),
                ("u32", 100, "energy_battery_charged=33000"),
            ],
        ),
    ],
    "marstek_venus_e_v3": [
        Listing(
            "holding",
            rows=[
                ("u16", 1000, "energy_capacity=32105"),
                ("u16", 100, "voltage_battery=30100"),
                ("i16", 10, "temperature_cabinet=35000"),
                ("u16", 10, "voltage=32200"),
                ("u32", 100, "energy_battery_charged=33000"),
            ],
        ),
    ],
    "hiking_dds238": [
        Listing(
            "holding",
            rows=[
                ("u16", 1000, "power_factor=16"),
            ],
        ),
    ],
    "ziehl_efr4000ip": [
        Listing(
            "holding",
            word_order="little",
            rows=[
                ("i32", 100, "frequency=20"),
                (
                    "i32",
                    -1000,
                    (
                        "energy_export_l1=132 energy_export_l2=134 energy_export_l3=136 "
                        "energy_export=138"
                    ),
                ),
                (
                    "i32",
                    1000,
                    (
                        "energy_import_l1=140 energy_import_l2=142 energy_import_l3=144 "
                        "energy_import=146"
                    ),
                ),
            ],
        ),
    ],
    "pqplus_umd": [
        Listing(
            "input",
            rows=[
                (
                    "f32",
                    1,
                    (
                        "current_n=19018 power_factor=4864 power_factor_l1=4868 "
                        "power_factor_l2=4870 power_factor_l3=4872 thd_voltage_l1=4366 "
                        "thd_voltage_l2=4368 thd_voltage_l3=4370 thd_current_l1=4620 "
                        "thd_current_l2=4622 thd_current_l3=4624"
                    ),
                ),
                (
                    "f32",
                    1000,
                    (
                        "energy_import_l1=19062 energy_import_l2=19064 energy_import_l3=19066 "
                        "energy_import=19068 energy_export_l1=19070 energy_export_l2=19072 "
                        "energy_export_l3=19074 energy_export=19076 apparent_energy_l1=19078 "
                        "apparent_energy_l2=19080 apparent_energy_l3=19082 apparent_energy=19084"
                    ),
                ),
            ],
        ),
    ],
}
