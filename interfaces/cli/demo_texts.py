"""What people say in `kefu demo`: short stories, each a list of (who, text)."""

from typing import Final

Story = tuple[str, str, tuple[tuple[str, str], ...]]
"""Language, label, and lines: `v` the visitor, `a` the agent, `n` a private note."""

NAMES: Final = {
    "zh": ("李雷", "韩梅梅", "王芳", "张伟", "刘洋", "陈静", "杨帆", "赵敏", "周杰", "吴倩"),
    "en": ("Alice Hart", "Ben Okoro", "Chloe Martin", "Dan Weiss", "Elena Rossi", "Farid Khan"),
}

STORIES: Final[tuple[Story, ...]] = (
    (
        "zh",
        "物流",
        (
            ("v", "您好，我的订单 {order} 三天没有更新物流了，能帮我查一下吗？"),
            ("a", "您好，正在为您查询，请稍等。"),
            ("n", "快递单号 SF{order}，卡在广州中转场，已联系快递公司。"),
            ("a", "包裹在广州中转，预计明天下午送达，给您添麻烦了。"),
            ("v", "好的，谢谢！"),
        ),
    ),
    (
        "zh",
        "退款",
        (
            ("v", "上周买的茶壶有裂纹，我想退款，订单号 {order}。"),
            ("a", "非常抱歉！方便拍一张照片吗？"),
            ("v", "已经发到你们的邮箱了。"),
            ("n", "照片已核实，同意全额退款 ¥{amount}。"),
            ("a", "已经为您办理全额退款 {amount} 元，预计 1 到 3 个工作日到账。"),
            ("v", "处理得真快，谢谢你们。"),
        ),
    ),
    (
        "zh",
        "咨询",
        (
            ("v", "请问明前龙井和雨前龙井有什么区别？"),
            ("a", "明前采摘更早，芽叶更嫩，口感清甜；雨前滋味更浓，性价比更高。"),
            ("v", "那送长辈选哪个好？"),
            ("a", "送礼推荐明前龙井礼盒，包装也更精致。"),
        ),
    ),
    (
        "zh",
        "发票",
        (
            ("v", "订单 {order} 可以开公司发票吗？"),
            ("a", "可以的，请提供公司名称和税号。"),
            ("v", "稍后发给您。"),
        ),
    ),
    ("zh", "催单", (("v", "我的订单 {order} 怎么还没发货？已经两天了！"),)),
    (
        "en",
        "delivery",
        (
            ("v", "Hi, tracking says order {order} was delivered, but there is nothing here."),
            (
                "a",
                "I'm sorry about that. Let me ask the carrier; could you check with a neighbour?",
            ),
            ("n", "Carrier left it at number 14, photo in the file."),
            ("a", "It was handed to number 14 this morning. Could you have a look?"),
            ("v", "Found it, thank you so much!"),
        ),
    ),
    (
        "en",
        "refund",
        (
            ("v", "The teapot from order {order} arrived broken. I'd like my money back."),
            ("a", "Oh no! We'll refund the full {amount} today."),
            ("n", "Refund approved, second breakage from this batch."),
            ("v", "That was quick, thanks."),
        ),
    ),
    (
        "en",
        "question",
        (
            ("v", "Do you ship to Portugal, and how long does it take?"),
            ("a", "We do: five to seven working days, free above 60 euro."),
            ("v", "Great, I'll order tonight."),
        ),
    ),
    (
        "en",
        "account",
        (
            ("v", "I can't change the delivery address of order {order}."),
            (
                "a",
                "It is being packed already. Tell me the new address and I'll ask the warehouse.",
            ),
            ("v", "12 Mill Lane, Leeds."),
            ("a", "Done, it goes to Mill Lane."),
        ),
    ),
    (
        "en",
        "complaint",
        (("v", "This is the third time I ask about order {order}. Anyone there?"),),
    ),
)
